// The issuer in use, and how it is replaced: the files are looked at over and over, and a new issuer takes
// over only when it is whole and chains to an anchor. Until then the old one keeps working.

package import Foundation
internal import Synchronization

/// Keeps the newest good issuer.
package final class IssuerStore: Sendable {
    /// What one look at the files found.
    package enum Outcome: Sendable, Equatable {
        case unchanged
        case updated(notAfter: Date)
        /// The files changed for the worse; reported once for each reason.
        case skipped(reason: String)
        /// As before.
        case stillSkipped
    }

    private struct State {
        var issuer: Issuer
        var contents: IssuerFiles.Contents
        var skippedReason: String?
    }

    package let anchors: TrustAnchors
    private let files: IssuerFiles
    private let state: Mutex<State>

    /// Loads anchors and issuer.
    ///
    /// - Throws: When either is not usable at `now`: without them there is nothing to serve.
    package init(settings: IdentitySettings, now: Date) async throws(IdentityError) {
        let anchorsPEM = try IssuerFiles.text(of: settings.trustAnchorsPath)
        anchors = try TrustAnchors(pem: anchorsPEM, file: settings.trustAnchorsPath)
        files = IssuerFiles(directory: settings.issuerPath, scheme: settings.scheme)
        let contents = try files.read()
        let issuer = try Issuer(certificatePEM: contents.certificatePEM, keyPEM: contents.keyPEM)
        _ = try await issuer.verified(by: anchors, at: now)
        state = Mutex(State(issuer: issuer, contents: contents))
    }

    /// The issuer in use.
    package var issuer: Issuer { state.withLock { $0.issuer } }

    /// The issuer in use, checked against the anchors.
    ///
    /// - Throws: `.issuerInvalid` when it no longer chains to one.
    package func verifiedIssuer(at now: Date) async throws(IdentityError) -> VerifiedIssuer {
        try await issuer.verified(by: anchors, at: now)
    }

    /// Looks at the files once. One caller at a time.
    package func reload(at now: Date) async -> Outcome {
        do throws(IdentityError) {
            let contents = try files.read()
            let isUnchanged = state.withLock { state in
                guard state.contents == contents else { return false }
                state.skippedReason = nil  // Somebody put the files back.
                return true
            }
            if isUnchanged { return .unchanged }
            let issuer = try Issuer(certificatePEM: contents.certificatePEM, keyPEM: contents.keyPEM)
            _ = try await issuer.verified(by: anchors, at: now)
            state.withLock { $0 = State(issuer: issuer, contents: contents) }
            return .updated(notAfter: issuer.notAfter)
        } catch {
            return state.withLock { state in
                guard state.skippedReason != error.message else { return .stillSkipped }
                state.skippedReason = error.message
                return .skipped(reason: error.message)
            }
        }
    }
}
