// The program's commands as plain data, read from commander's objects.
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** Commands in the order of --help, each with its arguments, options and the text below its help. */
export async function readGrammar(dist) {
  const { buildProgram } = await import(pathToFileURL(join(dist, "cli", "program.js")).href);
  const program = await buildProgram();
  return {
    version: program.version(),
    commands: program.commands.map((command) => ({
      name: command.name(),
      description: command.description(),
      args: command.registeredArguments.map((argument) => ({
        name: argument.name(),
        description: argument.description,
        required: argument.required,
        variadic: argument.variadic,
        choices: argument.argChoices ?? [],
      })),
      options: command.options.filter((option) => !option.hidden).map(readOption),
      notes: notesOf(command),
    })),
  };
}

function readOption(option) {
  return {
    short: option.short,
    long: option.long,
    value: /[<[](.*)[>\]]$/.exec(option.flags)?.[1],
    mandatory: option.mandatory,
    description: option.description,
    choices: option.argChoices ?? [],
    fallback:
      option.defaultValue === undefined || option.defaultValue === false ? undefined : option.defaultValue,
    environment: option.envVar,
  };
}

/** What addHelpText("after", …) prints. */
function notesOf(command) {
  let text = "";
  command.configureOutput({ writeOut: (piece) => (text += piece) });
  command.outputHelp();
  return text.slice(command.helpInformation().length).trim();
}
