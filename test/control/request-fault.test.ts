import { describe, expect, it } from "vitest";
import { z } from "zod";
import { requestFault } from "../../src/control/request-fault.ts";

const schema = z.union([
  z.object({ one: z.object({ weight: z.int() }) }),
  z.object({ many: z.array(z.object({ weight: z.int() })) }),
]);
const fault = (body: unknown): string => requestFault(schema.safeParse(body).error!);

describe("a request's fault", () => {
  it("is told by the branch that was meant, with its place", () => {
    expect(fault({ one: { weight: "x" } })).toMatch(/^one\.weight: .*number/);
    expect(fault({ many: [{ weight: 1 }, { weight: 0.5 }] })).toMatch(/^many\.1\.weight: .*int/);
    expect(fault({ many: [5] })).toMatch(/^many\.0: .*object/);
  });

  it("without a place is the request's", () => {
    expect(fault(5)).toMatch(/^request: .*object/);
  });
});
