package import NIOCore

/// Passes heads on without writing them anew: what stays is copied in runs.
package enum HTTP1HeadCopy {
    /// A part of a head as text; `range` counts from the first readable byte. Allocates.
    package static func text(_ range: Range<Int>, of source: ByteBuffer) -> String {
        HTTP1Fields.text(source.readableBytesUInt8Span, range)
    }

    /// Appends a head to `output`, leaving out `removals` and adding `additions` before the empty line.
    ///
    /// - Parameters:
    ///   - source: the buffer whose readable bytes start with the parsed bytes.
    ///   - start: where the head begins, after empty lines that are dropped.
    ///   - additions: whole lines, each with CR LF.
    package static func append(
        head source: ByteBuffer, from start: Int, removals: [Range<Int>], fieldsEnd: Int,
        additions: ByteBuffer?,
        to output: inout ByteBuffer
    ) {
        let bytes = source.readableBytesSpan
        var offset = start
        for removal in removals {
            if removal.lowerBound > offset {
                output.writeBytes(bytes.extracting(offset..<removal.lowerBound))
            }
            offset = removal.upperBound
        }
        output.writeBytes(bytes.extracting(offset..<fieldsEnd))
        if let additions { output.writeBytes(additions.readableBytesSpan) }
        output.writeBytes(bytes.extracting(fieldsEnd..<fieldsEnd + 2))
    }
}
