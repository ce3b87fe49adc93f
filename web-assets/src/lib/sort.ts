// Sorting of tables: stable, with unknown values last whichever way it goes.

export type Direction = "ascending" | "descending";
export type SortValue = string | number | null | undefined;

const words = new Intl.Collator("en", { numeric: true });

/** Orders rows by a value of theirs. */
export function sortRows<Row>(
  rows: readonly Row[], value: (row: Row) => SortValue, direction: Direction,
): Row[] {
  const sign = direction === "ascending" ? 1 : -1;
  return rows.map((row, index) => ({ row, index, key: value(row) })).sort((a, b) => {
    if (a.key == null || b.key == null) {
      return a.key == b.key ? a.index - b.index : a.key == null ? 1 : -1;
    }
    const order = typeof a.key === "number" && typeof b.key === "number"
      ? a.key - b.key : words.compare(String(a.key), String(b.key));
    return order === 0 ? a.index - b.index : order * sign;
  }).map((entry) => entry.row);
}
