import Glibc

/// Names of system errors, as labels and messages spell them.
package enum SystemErrorText {
    /// The C name, such as `ECONNRESET`; empty for 0, `UNKNOWN_ERRNO` for what sockets do not report.
    package static func name(_ errno: CInt) -> String {
        switch errno {
        case 0: ""
        case ECONNRESET: "ECONNRESET"
        case EPIPE: "EPIPE"
        case ETIMEDOUT: "ETIMEDOUT"
        case ECONNREFUSED: "ECONNREFUSED"
        case ECONNABORTED: "ECONNABORTED"
        case EHOSTUNREACH: "EHOSTUNREACH"
        case ENETUNREACH: "ENETUNREACH"
        case EADDRNOTAVAIL: "EADDRNOTAVAIL"
        case EMFILE: "EMFILE"
        case ENFILE: "ENFILE"
        case ENOTCONN: "ENOTCONN"
        default: "UNKNOWN_ERRNO"
        }
    }

    /// A sentence for `l5d-proxy-error`.
    package static func describe(_ errno: CInt) -> String {
        let words =
            switch errno {
            case ECONNRESET: "Connection reset by peer"
            case EPIPE: "Broken pipe"
            case ETIMEDOUT: "Connection timed out"
            case ECONNREFUSED: "Connection refused"
            case ECONNABORTED: "Connection aborted"
            case EHOSTUNREACH: "No route to host"
            case ENETUNREACH: "Network is unreachable"
            default: "Connection failed"
            }
        return "\(words) (os error \(errno))"
    }
}
