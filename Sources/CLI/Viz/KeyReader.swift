/// Bytes from a terminal as keys. Pure.
package enum KeyReader {
    /// Takes whole keys off the front; part of a sequence or of a character stays for the next time.
    package static func keys(_ bytes: inout [UInt8]) -> [TopKey] {
        var keys: [TopKey] = []
        while let first = bytes.first {
            switch first {
            case 0x03: keys.append(.interrupt)
            case 0x0D, 0x0A: keys.append(.enter)
            case 0x7F, 0x08: keys.append(.backspace)
            case 0x1B:
                // An escape sequence arrives whole; an escape alone is the key.
                guard bytes.count >= 3, bytes[1] == UInt8(ascii: "[") || bytes[1] == UInt8(ascii: "O") else {
                    keys.append(.escape)
                    break
                }
                if let arrow = arrow(bytes[2]) { keys.append(arrow) }
                bytes.removeFirst(2)
            case 0x20..<0x7F: keys.append(.character(Character(Unicode.Scalar(first))))
            case 0xC2...0xF4:
                let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
                guard bytes.count >= length else { return keys }
                if let text = String(validating: bytes[..<length], as: UTF8.self), let character = text.first {
                    keys.append(.character(character))
                    bytes.removeFirst(length - 1)
                }
            default: break
            }
            bytes.removeFirst()
        }
        return keys
    }

    private static func arrow(_ byte: UInt8) -> TopKey? {
        switch byte {
        case UInt8(ascii: "A"): .up
        case UInt8(ascii: "B"): .down
        case UInt8(ascii: "C"): .right
        case UInt8(ascii: "D"): .left
        default: nil
        }
    }
}
