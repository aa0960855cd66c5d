// Completions of bash and zsh: commands, then each one's options, their choices, and files.
const WARNING = "made by scripts/documents.mjs from the program's own grammar";

const words = ({ options }) =>
  [...options.flatMap(({ short, long }) => [short, long]), "--help"].filter(Boolean);

const takesFile = ({ value }) => value !== undefined && /file|path|folder|module|capture/.test(value);

const names = ({ short, long }) => [short, long].filter(Boolean);

export function bashCompletion({ commands }) {
  const cases = commands.map((command) => {
    const { name, options, args } = command;
    const values = options.filter(({ value }) => value !== undefined);
    const prev = values.map((option) => {
      const answer =
        option.choices.length > 0
          ? `choices='${option.choices.join(" ")}'`
          : takesFile(option)
            ? "files=yes"
            : ":";
      return `        ${names(option).join(" | ")}) ${answer}; return ;;`;
    });
    const choices = args.flatMap((argument) => argument.choices);
    const files = args.some((argument) => /file|capture|frame/.test(argument.name));
    return [
      `    ${name})`,
      ...(prev.length > 0 ? ["      case $2 in", ...prev, "      esac"] : []),
      `      choices='${[...choices, ...words(command)].join(" ")}'${files ? "; files=yes" : ""} ;;`,
    ].join("\n");
  });
  return `# bash completion for dr-director(8); ${WARNING}

# What may follow in a command ($1) after a word ($2): sets choices and files.
_dr_director_after() {
  case $1 in
${cases.join("\n")}
  esac
}

_dr_director() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} choices='' files=''
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    choices='${[...commands.map(({ name }) => name), "help", "--help", "--version"].join(" ")}'
  else
    _dr_director_after "\${COMP_WORDS[1]}" "$prev"
  fi
  mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$cur")
  if [[ -n $files && $cur != -* ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t -O \${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$cur")
  fi
}

complete -F _dr_director dr-director
`;
}

const quoted = (text) => text.replaceAll("'", "'\\''").replace(/[[\]:]/g, "\\$&");

function zshOption(option) {
  const { value, choices, description } = option;
  const all = names(option);
  const message = value === undefined ? "" : `:${quoted(value)}:${action(option, choices)}`;
  const before = all.length > 1 ? `'(${all.join(" ")})'{${all.join(",")}}` : `'${all[0]}`;
  const rest = `[${quoted(description)}]${message}'`;
  return all.length > 1 ? `${before}'${rest}` : `${before}${rest}`;
}

function action(option, choices) {
  if (choices.length > 0) return `(${choices.join(" ")})`;
  return takesFile(option) ? "_files" : " ";
}

export function zshCompletion({ commands }) {
  const list = commands.map(({ name, description }) => `    '${name}:${quoted(description)}'`);
  const cases = commands.map(({ name, options, args }) => {
    const given = args.map(({ name: argument, choices, variadic }) => {
      const does = choices.length > 0 ? `(${choices.join(" ")})` : "_files";
      return `'${variadic ? "*" : ""}:${quoted(argument)}:${does}'`;
    });
    const lines = [...options.map(zshOption), "'--help[tell more of it]'", ...given];
    return `    ${name})\n      _arguments \\\n${lines.map((line) => `        ${line}`).join(" \\\n")} ;;`;
  });
  return `#compdef dr-director
# zsh completion for dr-director(8); ${WARNING}

_dr-director() {
  local -a commands
  commands=(
${list.join("\n")}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${cases.join("\n")}
  esac
}

_dr-director "$@"
`;
}
