/// Walks field lines one after another: those of a parsed head, or a trailer section.
package struct HTTP1FieldCursor: Sendable {
    private var offset: Int
    private let end: Int
    private var removal = 0

    /// - Parameters:
    ///   - start: offset of the first line.
    ///   - end: offset of the empty line, or of the end of the bytes.
    package init(from start: Int, to end: Int) {
        offset = start
        self.end = end
    }

    /// The next line that is not left out.
    ///
    /// - Parameters:
    ///   - bytes: the bytes that the offsets count in.
    ///   - removals: lines to skip, ascending, as the parser noted them.
    /// - Returns: where name and value lie, without blanks around the value; `nil` behind the last line.
    /// - Throws: when a line is none. Lines of a parsed head always are; those of trailers may not be.
    package mutating func next(_ bytes: Span<UInt8>, removals: [Range<Int>] = []) throws(HTTP1ParseError) -> (
        name: Range<Int>, value: Range<Int>
    )? {
        while offset < end {
            if removal < removals.count, removals[removal].lowerBound == offset {
                offset = removals[removal].upperBound
                removal += 1
                continue
            }
            guard let line = try HTTP1Fields.line(bytes, at: offset), !line.isEmptyLine else { return nil }
            offset = line.end
            return (line.name, line.value)
        }
        return nil
    }
}
