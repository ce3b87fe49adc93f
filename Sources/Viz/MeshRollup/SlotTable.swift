/// Finds the slot of a series: open addressing over slot numbers, whose ids stay with the caller's entries.
///
/// A dictionary keyed by 16 bytes would take four times the memory, and a cursor per pod of 1,700 series adds up.
/// Source: linear probing with backward-shift deletion (Knuth, volume 3, section 6.4, algorithm R).
struct SlotTable: Sendable {
    /// Slot numbers, negative where empty; a power of two, at most three quarters full.
    private var cells: [Int32] = Array(repeating: -1, count: 16)
    /// Series held.
    private(set) var count = 0

    /// The slot that holds `id`.
    func slot(of id: SeriesID, in entries: [SeriesCursor.Entry]) -> Int32? {
        var cell = home(id)
        while cells[cell] >= 0 {
            if entries[Int(cells[cell])].id == id { return cells[cell] }
            cell = (cell + 1) & (cells.count - 1)
        }
        return nil
    }

    /// Adds a slot whose entry already has its id, which must not be in the table.
    mutating func insert(_ slot: Int32, in entries: [SeriesCursor.Entry]) {
        if (count + 1) * 4 > cells.count * 3 { grow(entries) }
        place(slot, entries[Int(slot)].id)
        count += 1
    }

    /// Removes the slot of `id`, if it is there.
    mutating func remove(_ id: SeriesID, in entries: [SeriesCursor.Entry]) {
        let mask = cells.count - 1
        var hole = home(id)
        while cells[hole] >= 0, entries[Int(cells[hole])].id != id { hole = (hole + 1) & mask }
        guard cells[hole] >= 0 else { return }
        cells[hole] = -1
        count -= 1
        var next = (hole + 1) & mask
        while cells[next] >= 0 {
            let home = home(entries[Int(cells[next])].id)
            // What probing for it would have to cross the hole for moves into the hole.
            if (next - home) & mask >= (next - hole) & mask {
                cells[hole] = cells[next]
                cells[next] = -1
                hole = next
            }
            next = (next + 1) & mask
        }
    }

    private func home(_ id: SeriesID) -> Int { Int(truncatingIfNeeded: id.low) & (cells.count - 1) }

    private mutating func place(_ slot: Int32, _ id: SeriesID) {
        var cell = home(id)
        while cells[cell] >= 0 { cell = (cell + 1) & (cells.count - 1) }
        cells[cell] = slot
    }

    private mutating func grow(_ entries: [SeriesCursor.Entry]) {
        let old = cells
        cells = Array(repeating: -1, count: old.count * 2)
        for slot in old where slot >= 0 { place(slot, entries[Int(slot)].id) }
    }
}
