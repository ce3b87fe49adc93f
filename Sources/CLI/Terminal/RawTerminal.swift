// The terminal as a screen: no echo, no line editing, its own page, and as it was before at the end, whatever
// happens. Source: termios(3), and the control sequences of ECMA-48 and xterm.

import Foundation
import Glibc

/// A terminal in raw mode. Restores it when it goes.
package final class RawTerminal {
    // What to go back to.
    private let before: termios
    private var pendingBytes: [UInt8] = []
    private var shown: [String] = []
    private var shownSize = (width: 0, height: 0)

    /// Whether both ends are a terminal.
    package static var isAvailable: Bool {
        isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1
    }

    /// Takes the terminal over.
    /// - Returns: `nil` when there is none.
    package init?() {
        var current = termios()
        // SAFETY: tcgetattr fills the struct of that type; it does not keep the address.
        guard Self.isAvailable, unsafe tcgetattr(STDIN_FILENO, &current) == 0 else { return nil }
        before = current
        var raw = current
        raw.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG | IEXTEN)
        raw.c_iflag &= ~tcflag_t(IXON | ICRNL)
        // SAFETY: the array of control characters is inside the struct; both indices lie inside it. With both at
        // zero a read returns at once with what is there.
        unsafe withUnsafeMutableBytes(of: &raw.c_cc) { characters in
            unsafe characters[Int(VMIN)] = 0
            unsafe characters[Int(VTIME)] = 0
        }
        // SAFETY: as tcgetattr.
        guard unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) == 0 else { return nil }
        // The other page, an invisible cursor, no wrapping.
        Terminal.write("\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l")
    }

    deinit {
        Terminal.write("\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l")
        var settings = before
        // SAFETY: as in init. A failure leaves nothing that could be done.
        unsafe _ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
    }

    /// Columns and lines; 80 by 24 when the terminal does not say.
    package var size: (width: Int, height: Int) {
        var window = winsize()
        // SAFETY: TIOCGWINSZ fills a winsize and keeps no address.
        guard unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0, window.ws_row > 0 else {
            return (80, 24)
        }
        return (Int(window.ws_col), Int(window.ws_row))
    }

    /// Keys pressed since the last call; never waits.
    package func keys() -> [TopKey] {
        var bytes = [UInt8](repeating: 0, count: 256)
        // SAFETY: read fills at most as many bytes as the array holds.
        let count = unsafe read(STDIN_FILENO, &bytes, bytes.count)
        if count > 0 { pendingBytes += bytes[..<count] }
        return KeyReader.keys(&pendingBytes)
    }

    /// Shows lines; only those that changed are sent.
    package func show(_ lines: [TopScreen.Line]) {
        let size = size
        if size != shownSize {
            shown = []
            shownSize = size
            Terminal.write("\u{1B}[2J")
        }
        var output = ""
        for row in 0..<size.height {
            var text = ""
            if row < lines.count {
                let line = lines[row]
                text = line.text
                if line.isBold { text = "\u{1B}[1m\(text)\u{1B}[0m" }
                if line.isSelected { text = "\u{1B}[7m\(text)\u{1B}[0m" }
            }
            if row < shown.count, shown[row] == text { continue }
            output += "\u{1B}[\(row + 1);1H\u{1B}[2K\(text)"
            if row < shown.count { shown[row] = text } else { shown.append(text) }
        }
        if !output.isEmpty { Terminal.write(output) }
    }
}
