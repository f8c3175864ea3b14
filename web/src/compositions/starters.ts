/** Scenes to begin with; docs/layouts.md describes every member. */
export const starters: Record<string, unknown> = {
  "Grid, with names and a border around who speaks": {
    layout: { grid: { gridGap: 16 } },
    tiles: { cornerRadius: 16 },
    background: { color: "#182430" },
    namePlates: {},
    activeSpeaker: {},
  },
  "One large, the others beside": {
    layout: {
      custom: {
        width: 1280,
        height: 720,
        regions: [
          { id: "main", x: 24, y: 104, width: 912, height: 512, cornerRadius: 16 },
          { id: "side", x: 952, y: 24, width: 304, height: 672, cornerRadius: 12, grid: { gap: 12 } },
        ],
      },
    },
    background: { color: "#182430" },
    namePlates: {},
    activeSpeaker: {},
  },
  "Who has the attribute featured=true, above the others": {
    layout: { grid: { featuredParticipantAttribute: "featured" } },
  },
  "Picture in picture, of who has presenter=true": {
    layout: { pip: { pipParticipantAttribute: "presenter", pipOffset: 24 } },
  },
};
