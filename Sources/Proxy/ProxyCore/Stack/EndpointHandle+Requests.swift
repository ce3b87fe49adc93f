// The points in a request's life that count for its endpoint: metrics, and the breaker if there is one.

import MeshBalance
import NIOCore

extension EndpointHandle {
    /// Why a request that requires an identity cannot come here; `nil` when it can.
    func mismatch(required identity: String) -> ProxyError? {
        guard serverIdentity != identity else { return nil }
        return ProxyError(.identityMismatch, "required id \(identity); found \(serverIdentity ?? "none")")
    }

    /// A request is sent here.
    func requestStarted() {
        metrics.requestStarted()
        load.started()
        if accrual != nil { accrual?.dispatched(at: NIODeadline.now().uptimeNanoseconds) }
    }

    /// Its whole answer came.
    func responseEnded(status: Int, grpcStatus: Int?, isFailure: Bool) {
        metrics.responseEnded(status: status, grpcStatus: grpcStatus, isFailure: isFailure)
        if accrual != nil { accrual?.answered(isFailure: isFailure, at: NIODeadline.now().uptimeNanoseconds) }
    }

    /// Its answer broke off, or never began.
    /// - Parameter blamesEndpoint: whether that says something about the endpoint, rather than about the client.
    func requestFailed(status: Int?, error: String, blamesEndpoint: Bool = true) {
        metrics.requestFailed(status: status, error: error)
        guard accrual != nil else { return }
        let now = NIODeadline.now().uptimeNanoseconds
        if blamesEndpoint { accrual?.answered(isFailure: true, at: now) } else { accrual?.abandoned(at: now) }
    }

    /// The client left before the answer: nothing was learnt.
    func requestAbandoned() {
        load.abandoned()
        if accrual != nil { accrual?.abandoned(at: NIODeadline.now().uptimeNanoseconds) }
    }
}
