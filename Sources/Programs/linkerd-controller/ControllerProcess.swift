import Logging
import MeshKubernetes

/// What every controller's process does before its own work.
enum ControllerProcess {
    /// Sends logs from `level` on to standard error; once a process.
    static func bootstrapLogging(_ level: Logger.Level) {
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
    }

    /// The cluster of the kubeconfig that was named, else the one this pod runs in, else kubectl's.
    static func kubernetesConfig(_ kubeconfig: String?) throws -> KubernetesConfig {
        if let kubeconfig { return try .load(kubeconfig: kubeconfig, context: nil) }
        do { return try .inCluster() } catch { return try .load(kubeconfig: nil, context: nil) }
    }
}
