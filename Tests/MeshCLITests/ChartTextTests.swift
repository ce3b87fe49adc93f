import Foundation
import MeshCLI
import Testing

@Suite("Filling in charts", .timeLimit(.minutes(1))) struct ChartTextTests {
    private static let charts = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "deploy/charts/linkerd-viz")

    private func metricsAPI(_ change: (String) -> String = { $0 }) throws -> String {
        let values = try String(contentsOf: Self.charts.appending(path: "values.yaml"), encoding: .utf8)
        let template = try String(contentsOf: Self.charts.appending(path: "templates/metrics-api.yaml"), encoding: .utf8)
        return try ChartText(values: change(values)).render(template)
    }

    @Test("History lives on a claim whose size and ages are values, and has one writer")
    func claim() throws {
        let text = try metricsAPI()
        #expect(text.contains("storage: 2Gi") && text.contains("claimName: metrics-api") && text.contains("type: Recreate"))
        #expect(text.contains("--store-size=1900M") && text.contains("--retention-minutes=336h"))
        #expect(!text.contains("{{") && !text.contains("emptyDir") && !text.contains("storageClassName"))
        let other = try metricsAPI {
            $0.replacing("size: 2Gi", with: "size: 5Gi").replacing("storeSize: 1900M", with: "storeSize: 4500M")
                .replacing("storageClass: \"\"", with: "storageClass: fast")
        }
        #expect(other.contains("storage: 5Gi") && other.contains("--store-size=4500M") && other.contains("storageClassName: fast"))
    }

    @Test("Without persistence there is no claim, and the notes warn")
    func emptyDir() throws {
        let text = try metricsAPI { $0.replacing("enabled: true", with: "enabled: false") }
        #expect(text.contains("emptyDir: {}") && !text.contains("PersistentVolumeClaim") && !text.contains("claimName"))
        let notes = try String(contentsOf: Self.charts.appending(path: "templates/NOTES.txt"), encoding: .utf8)
        let off = try ChartText(values: "metricsAPI: {persistence: {enabled: false}}").render(notes)
        #expect(off.contains("WARNING"))
        #expect(try !ChartText(values: "metricsAPI: {persistence: {enabled: true}}").render(notes).contains("WARNING"))
    }

    @Test(
        "What only Helm understands is an error, never half a manifest",
        arguments: ["a: {{ include \"x\" . }}", "{{- range .Values.a }}", "a: {{ .Values.missing }}", "{{- if .Values.a }}\nb: 1", "a: {{ .Values.a"])
    func others(template: String) throws {
        let chart = try ChartText(values: "a: [1]")
        #expect(throws: (any Error).self) { try chart.render(template) }
    }
}
