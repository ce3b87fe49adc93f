// Kubernetes quantities, as weights use them: `1`, `500m`, `0.5`, `2k`, `1Ki`. Source: the resource quantity
// grammar of the Kubernetes API reference.

/// Reads quantities.
enum Quantity {
    private static let scales: [String: Double] = [
        "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 1_024,
        "Mi": 1_048_576, "Gi": 1_073_741_824,
    ]

    /// The quantity in thousandths, rounded up; `nil` when the text is none, or is negative or beyond 2⁵³.
    static func thousandths(_ text: String) -> UInt64? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let number = Double(digits), let scale = scales[String(text.dropFirst(digits.count))] else {
            return nil
        }
        let scaled = (number * scale * 1_000).rounded(.up)
        return scaled.isFinite && scaled >= 0 && scaled < 0x1p53 ? UInt64(scaled) : nil
    }
}
