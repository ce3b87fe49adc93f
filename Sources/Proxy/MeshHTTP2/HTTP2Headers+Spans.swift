// Values read as bytes where they lie.

extension HTTP2Headers {
    /// Calls `body` with the first value of the field; nil when the list has none. The span ends with the call.
    public func withValue<R>(of token: HeaderToken, in block: HeaderBlock, _ body: (Span<UInt8>) -> R) -> R? {
        guard let index = find(token, block) else { return nil }
        return unsafe body(value(at: index).span)
    }
}
