import MeshAPI
import SwiftProtobuf
import Testing

/// Every message of the contract that has fields.
private let types: [any Message.Type] = [
    Io_Linkerd_Proxy_Net_IPAddress.self,
    Io_Linkerd_Proxy_Net_IPNetwork.self,
    Io_Linkerd_Proxy_Net_IPv6.self,
    Io_Linkerd_Proxy_Net_TcpAddress.self,
    Io_Linkerd_Proxy_HttpTypes_HttpMethod.self,
    Io_Linkerd_Proxy_HttpTypes_Scheme.self,
    Io_Linkerd_Proxy_HttpTypes_Headers.self,
    Io_Linkerd_Proxy_HttpTypes_Headers.Header.self,
    Io_Linkerd_Proxy_Meta_Metadata.self,
    Io_Linkerd_Proxy_Meta_Resource.self,
    Io_Linkerd_Proxy_Identity_CertifyRequest.self,
    Io_Linkerd_Proxy_Identity_CertifyResponse.self,
    Io_Linkerd_Proxy_Destination_GetDestination.self,
    Io_Linkerd_Proxy_Destination_Update.self,
    Io_Linkerd_Proxy_Destination_AddrSet.self,
    Io_Linkerd_Proxy_Destination_WeightedAddrSet.self,
    Io_Linkerd_Proxy_Destination_WeightedAddr.self,
    Io_Linkerd_Proxy_Destination_TlsIdentity.self,
    Io_Linkerd_Proxy_Destination_TlsIdentity.DnsLikeIdentity.self,
    Io_Linkerd_Proxy_Destination_TlsIdentity.UriLikeIdentity.self,
    Io_Linkerd_Proxy_Destination_AuthorityOverride.self,
    Io_Linkerd_Proxy_Destination_NoEndpoints.self,
    Io_Linkerd_Proxy_Destination_ProtocolHint.self,
    Io_Linkerd_Proxy_Destination_ProtocolHint.OpaqueTransport.self,
    Io_Linkerd_Proxy_Destination_Http2ClientParams.self,
    Io_Linkerd_Proxy_Destination_Http2ClientParams.FlowControl.self,
    Io_Linkerd_Proxy_Destination_Http2ClientParams.KeepAlive.self,
    Io_Linkerd_Proxy_Destination_Http2ClientParams.Internals.self,
    Io_Linkerd_Proxy_Destination_DestinationProfile.self,
    Io_Linkerd_Proxy_Destination_Route.self,
    Io_Linkerd_Proxy_Destination_RetryBudget.self,
    Io_Linkerd_Proxy_Destination_ResponseClass.self,
    Io_Linkerd_Proxy_Destination_RequestMatch.self,
    Io_Linkerd_Proxy_Destination_RequestMatch.Seq.self,
    Io_Linkerd_Proxy_Destination_PathMatch.self,
    Io_Linkerd_Proxy_Destination_ResponseMatch.self,
    Io_Linkerd_Proxy_Destination_ResponseMatch.Seq.self,
    Io_Linkerd_Proxy_Destination_HttpStatusRange.self,
    Io_Linkerd_Proxy_Destination_WeightedDst.self,
    Io_Linkerd_Proxy_Tap_ObserveRequest.self,
    Io_Linkerd_Proxy_Tap_ObserveRequest.Match.self,
    Io_Linkerd_Proxy_Tap_ObserveRequest.Match.Seq.self,
    Io_Linkerd_Proxy_Tap_ObserveRequest.Match.Label.self,
    Io_Linkerd_Proxy_Tap_ObserveRequest.Match.Tcp.self,
    Io_Linkerd_Proxy_Tap_ObserveRequest.Match.Tcp.Netmask.self,
    Io_Linkerd_Proxy_Tap_ObserveRequest.Match.Tcp.PortRange.self,
    Io_Linkerd_Proxy_Tap_ObserveRequest.Match.Http.self,
    Io_Linkerd_Proxy_Tap_ObserveRequest.Match.Http.StringMatch.self,
    Io_Linkerd_Proxy_Tap_ObserveRequest.Extract.self,
    Io_Linkerd_Proxy_Tap_ObserveRequest.Extract.Http.self,
    Io_Linkerd_Proxy_Tap_Eos.self,
    Io_Linkerd_Proxy_Tap_TapEvent.self,
    Io_Linkerd_Proxy_Tap_TapEvent.EndpointMeta.self,
    Io_Linkerd_Proxy_Tap_TapEvent.RouteMeta.self,
    Io_Linkerd_Proxy_Tap_TapEvent.Http.self,
    Io_Linkerd_Proxy_Tap_TapEvent.Http.StreamId.self,
    Io_Linkerd_Proxy_Tap_TapEvent.Http.RequestInit.self,
    Io_Linkerd_Proxy_Tap_TapEvent.Http.ResponseInit.self,
    Io_Linkerd_Proxy_Tap_TapEvent.Http.ResponseEnd.self,
    Linkerd2_Common_Net_IPAddress.self,
    Linkerd2_Common_Net_IPv6.self,
    Linkerd2_Common_Net_TcpAddress.self,
    Linkerd2_Viz_CheckResult.self,
    Linkerd2_Viz_SelfCheckResponse.self,
    Linkerd2_Viz_ListServicesRequest.self,
    Linkerd2_Viz_ListServicesResponse.self,
    Linkerd2_Viz_Service.self,
    Linkerd2_Viz_ListPodsRequest.self,
    Linkerd2_Viz_ListPodsResponse.self,
    Linkerd2_Viz_Pod.self,
    Linkerd2_Viz_HttpMethod.self,
    Linkerd2_Viz_Scheme.self,
    Linkerd2_Viz_Headers.self,
    Linkerd2_Viz_Headers.Header.self,
    Linkerd2_Viz_Eos.self,
    Linkerd2_Viz_ApiError.self,
    Linkerd2_Viz_PodErrors.self,
    Linkerd2_Viz_PodErrors.PodError.self,
    Linkerd2_Viz_PodErrors.PodError.ContainerError.self,
    Linkerd2_Viz_Resource.self,
    Linkerd2_Viz_ResourceSelection.self,
    Linkerd2_Viz_ResourceError.self,
    Linkerd2_Viz_StatSummaryRequest.self,
    Linkerd2_Viz_StatSummaryResponse.self,
    Linkerd2_Viz_StatSummaryResponse.Ok.self,
    Linkerd2_Viz_AuthzRequest.self,
    Linkerd2_Viz_AuthzResponse.self,
    Linkerd2_Viz_AuthzResponse.Ok.self,
    Linkerd2_Viz_BasicStats.self,
    Linkerd2_Viz_TcpStats.self,
    Linkerd2_Viz_TrafficSplitStats.self,
    Linkerd2_Viz_ServerStats.self,
    Linkerd2_Viz_StatTable.self,
    Linkerd2_Viz_StatTable.PodGroup.self,
    Linkerd2_Viz_StatTable.PodGroup.Row.self,
    Linkerd2_Viz_EdgesRequest.self,
    Linkerd2_Viz_EdgesResponse.self,
    Linkerd2_Viz_EdgesResponse.Ok.self,
    Linkerd2_Viz_Edge.self,
    Linkerd2_Viz_TopRoutesRequest.self,
    Linkerd2_Viz_TopRoutesResponse.self,
    Linkerd2_Viz_TopRoutesResponse.Ok.self,
    Linkerd2_Viz_RouteTable.self,
    Linkerd2_Viz_RouteTable.Row.self,
    Linkerd2_Viz_GatewaysTable.self,
    Linkerd2_Viz_GatewaysTable.Row.self,
    Linkerd2_Viz_GatewaysRequest.self,
    Linkerd2_Viz_GatewaysResponse.self,
    Linkerd2_Viz_GatewaysResponse.Ok.self,
    Linkerd2_Tap_TapRequest.self,
    Linkerd2_Tap_TapByResourceRequest.self,
    Linkerd2_Tap_TapByResourceRequest.Match.self,
    Linkerd2_Tap_TapByResourceRequest.Match.Seq.self,
    Linkerd2_Tap_TapByResourceRequest.Match.Http.self,
    Linkerd2_Tap_TapByResourceRequest.Extract.self,
    Linkerd2_Tap_TapByResourceRequest.Extract.Http.self,
]

/// One field of the table.
struct WireField: Sendable, CustomTestStringConvertible {
    let message: String
    let name: String
    let number: Int
    let encoding: Character

    var testDescription: String { "\(message).\(name)" }

    /// The field alone, with a value that is not its default.
    var bytes: [UInt8] {
        switch encoding {
        case "v": tag(0) + [1]
        case "f": tag(5) + [1, 0, 0, 0]
        case "d": tag(1) + [1, 0, 0, 0, 0, 0, 0, 0]
        case "s": tag(2) + [1, UInt8(ascii: "x")]
        case "e": tag(2) + [3, 0x0A, 1, UInt8(ascii: "k")]
        default: tag(2) + [0]
        }
    }

    private func tag(_ wireType: Int) -> [UInt8] {
        let value = number << 3 | wireType
        return value < 128 ? [UInt8(value)] : [UInt8(value & 127 | 128), UInt8(value >> 7)]
    }

    static let all: [WireField] = wireTable.split(separator: "\n").flatMap { line in
        let words = line.split(separator: " ")
        return words.dropFirst().map { word in
            let parts = word.split(separator: ":")
            return WireField(
                message: String(words[0]), name: String(parts[0]), number: Int(parts[1].dropLast()) ?? 0,
                encoding: parts[1].last ?? "?")
        }
    }
}

@Suite("Wire contract", .timeLimit(.minutes(1))) struct FieldNumberTests {
    @Test("Every field has the number and encoding of the contract", arguments: WireField.all)
    func hasNumber(field: WireField) throws {
        let type = try #require(types.first { name(of: $0) == field.message }, "no type for \(field.message)")
        let message = try type.init(serializedBytes: field.bytes)
        #expect(message.textFormatString().hasPrefix(field.name), "\(message.textFormatString())")
        #expect(message.unknownFields.data.isEmpty)
    }

    @Test("The table covers every message of the contract")
    func coversAll() {
        #expect(Set(WireField.all.map(\.message)) == Set(types.map { name(of: $0) }))
        #expect(WireField.all.count > 300)
    }

    @Test("An IPv4 address travels with its first octet in the most significant byte")
    func encodesIPv4() throws {
        let message = Io_Linkerd_Proxy_Net_TcpAddress.with {
            $0.ip.ipv4 = 0x0A01_0203
            $0.port = 8_080
        }
        let bytes: [UInt8] = try message.serializedBytes()
        #expect(bytes == [0x0A, 5, 0x0D, 3, 2, 1, 0x0A, 0x10, 0x90, 0x3F])
    }

    @Test("An update decodes from bytes written by hand")
    func decodesUpdate() throws {
        let update = try Io_Linkerd_Proxy_Destination_Update(
            serializedBytes: [0x1A, 2, 0x08, 1] as [UInt8])
        #expect(update.noEndpoints.exists)
    }

    private func name(of type: any Message.Type) -> String { type.protoMessageName }
}
