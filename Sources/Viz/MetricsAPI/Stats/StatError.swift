/// Why a question was not answered.
package struct StatError: Error, Equatable {
    /// The closed set that decides how the answer is sent.
    package enum Kind: String, Sendable {
        /// The question is at fault: answered in the response's error arm.
        case badRequest = "bad_request"
        /// The store cannot be read: a gRPC error.
        case storeUnavailable = "store_unavailable"
        /// Not part of this server.
        case unsupported
    }

    package let kind: Kind
    /// For people; may name what was asked.
    package let message: String

    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
}
