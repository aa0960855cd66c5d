/** Why a goal was missed, as profiling found it; shown beside the number wherever that stands. */
export const REASONS: Readonly<Record<string, string>> = {};
