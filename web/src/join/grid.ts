/** Where n tiles of one aspect ratio go: columns and the width of a tile in CSS pixels. */
export interface Grid {
  columns: number;
  width: number;
}

/** Finds the number of columns that makes the tiles largest in a box, with `gap` pixels between them. */
export function bestGrid(n: number, boxWidth: number, boxHeight: number, aspect: number, gap: number): Grid {
  let best: Grid = { columns: 1, width: 0 };
  for (let columns = 1; columns <= n; columns++) {
    const rows = Math.ceil(n / columns);
    const width = Math.min(
      (boxWidth - gap * (columns - 1)) / columns,
      ((boxHeight - gap * (rows - 1)) / rows) * aspect,
    );
    if (width > best.width) best = { columns, width: Math.floor(width) };
  }
  return best;
}
