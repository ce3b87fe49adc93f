// The round of admission webhooks: first the mutating ones, one after another, each seeing what those before it
// made of the object, and those with `reinvocationPolicy: IfNeeded` once more when a later one changed it; then
// the validating ones, all at once, on what came out.
//
// Calls happen outside of the store's transaction, which must not wait for a network. What a webhook saw of a
// present object is checked again when the change is made, and the round repeated when it was outdated.
//
// Source: the Kubernetes documentation on dynamic admission control. Not here: `matchConditions` (refused when
// a configuration brings them), conversion between versions for `matchPolicy: Equivalent`, and CONNECT.

import Logging
import MeshModel

/// Takes one request through the webhooks that it concerns.
struct WebhookAdmission {
    /// Validating webhooks that are asked at once.
    private static let parallelMax = 16

    let operations: ObjectOperations

    private var cluster: Cluster { operations.cluster }

    /// What the webhooks make of a request.
    struct Outcome: Sendable {
        /// The object as the webhooks changed it; absent for a deletion.
        var object: JSONValue?
        var warnings: [String]
    }

    /// - Throws: `StatusError` as the webhook that refuses wants it; 500 when one cannot be asked and its policy is
    ///   `Fail`.
    func admit(_ call: AdmissionCall) async throws -> Outcome {
        let table = cluster.webhooks
        let labels = try await namespaceLabels(call)
        func concerned(_ webhooks: [AdmissionWebhook], _ call: AdmissionCall) -> [AdmissionWebhook] {
            webhooks.filter {
                $0.mayConcern(call.kind, subresource: call.subresource, operation: call.operation)
                    && $0.selects(call, namespaceLabels: labels)
            }
        }
        var call = call
        var warnings: [String] = []
        let mutating = concerned(table.mutating, call)
        // When each was asked last, and the last change that was not its own work, both counted in calls.
        var askedAt = [Int](repeating: 0, count: mutating.count)
        var changes: [(step: Int, webhook: Int)] = []
        var step = 0
        for round in 0..<2 {
            for (index, webhook) in mutating.enumerated() {
                let isOutdated = changes.contains { $0.step > askedAt[index] && $0.webhook != index }
                guard round == 0 || (webhook.reinvokes && isOutdated) else { continue }
                guard webhook.selects(call, namespaceLabels: labels) else { continue }
                step += 1
                askedAt[index] = step
                if try await mutate(&call, by: webhook, &warnings) { changes.append((step, index)) }
            }
        }
        warnings += try await validate(call, by: concerned(table.validating, call))
        return Outcome(object: call.object, warnings: warnings)
    }

    /// The labels of the object's namespace, `nil` when it is in none; a Namespace is judged by its own.
    private func namespaceLabels(_ call: AdmissionCall) async throws -> JSONValue? {
        if call.kind.qualifiedName == Resource.namespaces {
            return (call.object ?? call.old)?.value(at: ["metadata", "labels"]) ?? [:]
        }
        guard call.kind.isNamespaced else { return nil }
        let namespace = call.namespace
        let object = try await cluster.store.read { try $0.object(Resource.namespaces, "", namespace) }
        return object?.value(at: ["metadata", "labels"]) ?? [:]
    }

    /// Asks one mutating webhook; whether it changed the object.
    private func mutate(
        _ call: inout AdmissionCall, by webhook: AdmissionWebhook, _ warnings: inout [String]
    ) async throws -> Bool {
        guard let answer = try await ask(webhook, call) else { return false }
        warnings += answer.warnings
        guard let patch = answer.patch, let object = call.object else { return false }
        do {
            let patched = try object.applyingJSONPatch(patch)
            let decoded = try operations.decode(patched, kind: call.kind, validation: .ignore).object
            call.object = operations.fillDefaults(decoded, kind: call.kind)
        } catch {
            let failure = WebhookFailure("its patch does not apply: \(error.message)")
            if try Self.isForgiven(failure, webhook, cluster.logger) { return false }
        }
        return call.object != object
    }

    private func validate(_ call: AdmissionCall, by webhooks: [AdmissionWebhook]) async throws -> [String] {
        var warnings: [String] = []
        for start in stride(from: 0, to: webhooks.count, by: Self.parallelMax) {
            let batch = webhooks[start..<min(start + Self.parallelMax, webhooks.count)]
            warnings += try await withThrowingTaskGroup(of: [String].self) { group in
                for webhook in batch {
                    group.addTask { try await ask(webhook, call)?.warnings ?? [] }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
        }
        return warnings
    }

    /// The answer of a webhook that agrees; `nil` when it could not be asked and that does not matter.
    private func ask(_ webhook: AdmissionWebhook, _ call: AdmissionCall) async throws -> AdmissionAnswer? {
        let answer: AdmissionAnswer
        do { answer = try await WebhookClient(cluster: cluster).ask(webhook, call) } catch let failure as WebhookFailure {
            _ = try Self.isForgiven(failure, webhook, cluster.logger)
            return nil
        }
        guard answer.isAllowed else { throw Self.refusal(answer.status, by: webhook) }
        return answer
    }

    private static func isForgiven(
        _ failure: WebhookFailure, _ webhook: AdmissionWebhook, _ logger: Logger
    ) throws(StatusError) -> Bool {
        guard webhook.ignoresFailure else {
            throw .internalError("failed calling webhook \"\(webhook.name)\": \(failure)")
        }
        logger.warning(
            "Webhook failed and its policy is to go on without it",
            metadata: ["webhook": "\(webhook.name)", "cause": "\(failure)"])
        return true
    }

    /// A refusal in Kubernetes' words.
    private static func refusal(_ status: JSONValue, by webhook: AdmissionWebhook) -> StatusError {
        let prefix = "admission webhook \"\(webhook.name)\" denied the request"
        let message = status["message"]?.stringValue ?? ""
        let reason = status["reason"]?.stringValue ?? ""
        let text = !message.isEmpty ? ": \(message)" : !reason.isEmpty ? ": \(reason)" : " without explanation"
        let code = status["code"]?.intValue ?? 0
        return StatusError(code: (400..<600).contains(code) ? code : 400, reason: reason, message: prefix + text)
    }
}
