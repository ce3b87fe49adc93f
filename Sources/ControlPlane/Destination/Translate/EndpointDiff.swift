// From two endpoint sets to the messages that turn one into the other. Additions go first, so that a
// rolling update never leaves a proxy with an empty set; an emptied set is said in one word.

package import MeshAPI
internal import SwiftProtobuf

/// Remembers what a stream was told and says what is new.
package struct EndpointDiff: Sendable {
    private var sent: EndpointSet?

    /// Nothing was sent yet.
    package init() {}

    /// The updates that bring the reader up to `current`; none when it already is. The first call always
    /// gives at least one, so that a proxy never waits in silence.
    package mutating func updates(to current: EndpointSet) -> [Io_Linkerd_Proxy_Destination_Update] {
        let previous = sent
        sent = current
        if current.endpoints.isEmpty {
            if let previous, previous.endpoints.isEmpty, previous.exists == current.exists { return [] }
            return [.with { $0.noEndpoints.exists = current.exists }]
        }
        let old = previous?.endpoints ?? [:]
        let added = current.endpoints.filter { old[$0.key] != $0.value }.sorted { $0.key < $1.key }.map(
            \.value)
        let removed = old.keys.filter { current.endpoints[$0] == nil }.sorted().map(\.message)
        return chunks(added).map { chunk in
            .with {
                $0.add = .with {
                    $0.addrs = chunk
                    $0.metricLabels = current.labels
                }
            }
        } + chunks(removed).map { chunk in .with { $0.remove.addrs = chunk } }
    }

    private func chunks<Element>(_ elements: [Element]) -> [[Element]] {
        stride(from: 0, to: elements.count, by: DestinationSettings.addressesPerUpdateMax).map {
            Array(elements[$0..<min($0 + DestinationSettings.addressesPerUpdateMax, elements.count)])
        }
    }
}
