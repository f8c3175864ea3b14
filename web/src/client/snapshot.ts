/** One entry of a stage's snapshot. */
export interface Participant {
  readonly id: string;
  readonly userId: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly isPublishing: boolean;
  /** What the participant said of its media: they go on, but as silence or as black. */
  readonly audioMuted: boolean;
  readonly videoStopped: boolean;
}

/** What changed from one snapshot to the next. `changed` holds those present in both that differ. */
export interface Difference {
  joined: Participant[];
  left: Participant[];
  changed: Participant[];
}

/** Reads the payload of STAGE_STATE; entries without an id are skipped. The order is the order of arrival. */
export function readSnapshot(payload: unknown): Participant[] {
  const list = (payload as { participants?: unknown } | null)?.participants;
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry: unknown) => {
    const { id, userId, attributes, isPublishing, audioMuted, videoStopped } = (entry ?? {}) as Record<string, unknown>;
    if (typeof id !== "string" || id === "") return [];
    return [
      {
        id,
        userId: typeof userId === "string" ? userId : "",
        attributes: (attributes ?? {}) as Record<string, string>,
        isPublishing: isPublishing === true,
        audioMuted: audioMuted === true,
        videoStopped: videoStopped === true,
      },
    ];
  });
}

/** Compares two snapshots. A snapshot is complete: who is missing has left. */
export function difference(before: readonly Participant[], after: readonly Participant[]): Difference {
  const old = new Map(before.map((p) => [p.id, p]));
  const now = new Set(after.map((p) => p.id));
  return {
    joined: after.filter((p) => !old.has(p.id)),
    left: before.filter((p) => !now.has(p.id)),
    changed: after.filter((p) => {
      const was = old.get(p.id);
      return was !== undefined && JSON.stringify(was) !== JSON.stringify(p);
    }),
  };
}
