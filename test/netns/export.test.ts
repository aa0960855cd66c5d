/** A director's state on its way through JSON lines: connections live on in a state file that was made of them. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { built } from "../../src/lab/built.ts";
import { DirectorProgram } from "../../src/lab/director-program.ts";
import { makeCluster } from "../helpers/cluster.ts";
import { makeFolder, sleep } from "../helpers/world.ts";

const PROGRAM = [process.execPath, built("cli/dr-director.js")];

test("connections go on when the state is exported, imported, and another director starts with it", async () => {
  const { lab, client, director, config } = await makeCluster();
  const long = [0, 1, 2].map(() =>
    client.request({ requests: 60, keepAlive: true, pause: 50, timeout: 6_000 }),
  );
  await sleep(500);
  const exported = await lab.run("director", [...PROGRAM, "export", "--socket", director.socket]);
  expect(exported).toMatchObject({ code: 0, stderr: "" });
  director.program.signal("SIGKILL");
  await director.program.ended;
  // The file that was left behind says the same as the running director did.
  const folder = join(director.socket, "..");
  const offline = await lab.run("director", [...PROGRAM, "export", "--state", join(folder, "state")]);
  const flows = (text: string) =>
    text
      .split("\n")
      .filter((line) => line.startsWith('{"kind":"connection"'))
      .map((line) => JSON.parse(line).cport)
      .sort();
  expect(flows(offline.stdout)).toEqual(flows(exported.stdout));

  const other = makeFolder();
  const dump = join(other, "dump");
  writeFileSync(dump, exported.stdout);
  const state = join(other, "state");
  const imported = await lab.run("director", [...PROGRAM, "import", dump, "--state", state, "--shards", "2"]);
  expect(imported.stderr).toBe("");
  expect(imported.stdout).toMatch(/: 2 services, 6 real servers, [3-9] connections, 0 templates\n$/);
  const again = await lab.run("director", [...PROGRAM, "import", dump, "--state", state]);
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("is there already") });
  await DirectorProgram.start(lab, { ...config, shards: 2 }, { folder: other });
  for (const { failed, answers } of await Promise.all(long)) {
    expect(failed).toBe(0);
    expect(Object.keys(answers)).toHaveLength(1);
  }
});
