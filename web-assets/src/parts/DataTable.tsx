// A table that sorts, and turns into labelled cards on a narrow screen without ceasing to be a table.

import { useState, type ReactNode } from "react";
import { sortRows, type Direction, type SortValue } from "../lib/sort";

export interface Column<Row> {
  readonly id: string;
  readonly title: string;
  readonly cell: (row: Row) => ReactNode;
  /** What to sort by; a column without is not sortable. */
  readonly sortBy?: (row: Row) => SortValue;
  /** Direction of the first click; numbers are asked for from the top. */
  readonly first?: Direction;
  readonly align?: "left";
}

interface Props<Row> {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly rowKey: (row: Row) => string;
}

interface Order {
  readonly id: string;
  readonly direction: Direction;
}

/** The first column names the row. */
export function DataTable<Row>({ caption, columns, rows, rowKey }: Props<Row>): JSX.Element {
  const [order, setOrder] = useState<Order>({ id: columns[0]?.id ?? "", direction: "ascending" });
  const by = columns.find((column) => column.id === order.id)?.sortBy;
  const sorted = by ? sortRows(rows, by, order.direction) : rows;
  return (
    <table className={columns.length === 5 ? "table pairs" : "table"} role="table">
      <caption className="hidden">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((column) => (
            <Heading key={column.id} column={column} order={order} onOrder={setOrder} />
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {sorted.map((row) => (
          <tr key={rowKey(row)} role="row">
            {columns.map((column, index) => index === 0
              ? <th key={column.id} scope="row" role="rowheader">{column.cell(row)}</th>
              : (
                <td key={column.id} role="cell" data-label={column.title} className={column.align}>
                  {column.cell(row)}
                </td>
              ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Heading<Row>({ column, order, onOrder }: {
  column: Column<Row>; order: Order; onOrder: (order: Order) => void;
}): JSX.Element {
  const isActive = order.id === column.id;
  if (!column.sortBy) return <th scope="col" role="columnheader" className={column.align}>{column.title}</th>;
  const first = column.first ?? "ascending";
  const other: Direction = order.direction === "ascending" ? "descending" : "ascending";
  return (
    <th
      scope="col" role="columnheader" className={`sortable ${column.align ?? ""}`}
      {...(isActive ? { "aria-sort": order.direction } : {})}
    >
      <button
        type="button" className="sort"
        onClick={() => onOrder({ id: column.id, direction: isActive ? other : first })}
      >
        {column.title}
        <svg width="8" height="10" viewBox="0 0 8 10" aria-hidden="true" fill="currentColor">
          <path d={isActive && order.direction === "descending" ? "M4 9 .5 3h7Z" : "M4 1l3.5 6h-7Z"} />
        </svg>
      </button>
    </th>
  );
}
