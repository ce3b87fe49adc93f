// The pods of a question, and why others of them are left out. Pure: from one picture of the cluster.

import MeshKubernetes
import MeshModel
package import MetricsAPI
import MeshRollup

/// One proxy to observe.
package struct TapTarget: Sendable, Hashable {
    package let namespace: String
    package let pod: String
    package let ip: String
    /// Who must answer there; empty when the proxy runs without identity.
    package let identity: String
    /// Tells one life of a pod from the next under the same name.
    package let uid: String
}

/// Which pods can be tapped.
package struct TapTargets: Sendable, Equatable {
    package let targets: [TapTarget]
    package let disabled: [String]
    package let notEnabled: [String]

    /// Picks from the cluster's pods.
    ///
    /// - Parameter isDisabledNamespace: namespaces opt out as a whole.
    package init(
        _ question: TapQuestion, in index: ClusterIndex, isDisabledNamespace: (String) -> Bool = { _ in false }
    ) {
        var targets: [TapTarget] = []
        var disabled: [String] = []
        var notEnabled: [String] = []
        for pod in Self.pods(question, in: index) {
            guard !pod.ip.isEmpty, pod.phase != "Failed", !pod.isTerminating || pod.phase == "Running",
                pod.controllerNamespace == index.controllerNamespace
            else { continue }
            let annotations = pod.pod.metadata.annotations ?? [:]
            if isDisabledNamespace(pod.namespace) || Self.isTrue(annotations[TapInjection.disableAnnotation]) {
                disabled.append(pod.name)
            } else if Self.isTrue(annotations[TapInjection.enabledAnnotation]) || Self.hasTapName(pod) {
                targets.append(
                    TapTarget(
                        namespace: pod.namespace, pod: pod.name, ip: pod.ip, identity: pod.identity, uid: pod.uid))
            } else {
                notEnabled.append(pod.name)
            }
        }
        self.targets = targets
        self.disabled = disabled
        self.notEnabled = notEnabled
    }

    private static func pods(_ question: TapQuestion, in index: ClusterIndex) -> [PodFacts] {
        let objects = index.objects(
            question.kind, namespace: question.namespace, name: question.name, matching: question.selector)
        var seen: Set<String> = []
        return objects.flatMap { object in
            index.pods(
                of: question.kind, namespace: question.kind == .namespace ? "" : object.namespace,
                name: object.name)
        }.filter { seen.insert("\($0.namespace)/\($0.name)").inserted }
    }

    /// A proxy whose manifest names the tapper has a tap port, with or without the annotation.
    private static func hasTapName(_ pod: PodFacts) -> Bool {
        let containers = (pod.pod.spec?.containers ?? []) + (pod.pod.spec?.initContainers ?? [])
        return containers.contains { container in
            container.name == "linkerd-proxy"
                && (container.env ?? []).contains {
                    $0.name == TapInjection.variable && !($0.value ?? "").isEmpty
                }
        }
    }

    /// As Go reads a bool.
    package static func isTrue(_ text: String?) -> Bool {
        ["1", "t", "T", "true", "TRUE", "True"].contains(text ?? "")
    }

    /// The words for a question whose pods cannot be tapped, none of them.
    package func refusal(_ question: TapQuestion) -> TapRefusal? {
        guard targets.isEmpty else { return nil }
        var text = "no pods to tap for type=\"\(question.kind.name)\" name=\"\(question.name)\""
        if !disabled.isEmpty {
            text += "\n\(disabled.count) pods found with tap disabled via the \(TapInjection.disableAnnotation) annotation:\n"
            text += disabled.map { "\t* \($0)\n" }.joined()
            text += "remove the annotation to make these pods valid tap targets"
        }
        if !notEnabled.isEmpty {
            text += "\n\(notEnabled.count) pods found with tap not enabled:\n"
            text += notEnabled.map { "\t* \($0)\n" }.joined()
            text += "restart these pods to enable tap and make them valid tap targets"
        }
        return TapRefusal(.notFound, text)
    }
}
