import Foundation
import GRPCCore
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// Routes of the demo's web server: one page, its script, and a JSON API in front of the two gRPC backends.
struct WebAPI: Sendable {
    let emoji: BackendClient
    let voting: BackendClient
    let logger: Logger

    /// One row of `/api/list`.
    struct ListEntry: Codable {
        let shortcode: String
        let unicode: String
    }

    /// One row of `/api/leaderboard`; votes are text there.
    struct LeaderboardEntry: Codable {
        let shortcode: String
        let unicode: String
        let votes: String
    }

    func router() -> Router<BasicRequestContext> {
        let router = Router()
        for path in ["/", "/leaderboard"] as [RouterPath] {
            router.get(path) { _, _ in Self.reply("text/html; charset=utf-8", WebPage.html) }
        }
        router.get("/js") { _, _ in Self.reply("application/javascript; charset=utf-8", WebPage.script) }
        router.get("/css") { _, _ in Self.reply("text/css; charset=utf-8", WebPage.style) }
        router.get("/img/favicon.ico") { _, _ in Self.reply("image/svg+xml", WebPage.icon) }
        router.get("/api/list") { _, _ in await answering { try Self.json(try await list()) } }
        router.get("/api/leaderboard") { _, _ in await answering { try Self.json(try await leaderboard()) } }
        router.get("/api/vote") { request, _ in
            let choice = request.uri.queryParameters["choice"].map(String.init) ?? ""
            return await answering { try await vote(for: choice) }
        }
        return router
    }

    private func list() async throws -> [ListEntry] {
        let response = try await emoji.call(
            "ListAll", Emojivoto_V1_ListAllEmojiRequest(), returning: Emojivoto_V1_ListAllEmojiResponse.self)
        return response.list.map { ListEntry(shortcode: $0.shortcode, unicode: $0.unicode) }
    }

    private func leaderboard() async throws -> [LeaderboardEntry] {
        let response = try await voting.call(
            "Results", Emojivoto_V1_ResultsRequest(), returning: Emojivoto_V1_ResultsResponse.self)
        var entries: [LeaderboardEntry] = []
        for result in response.results {
            let found = try await find(result.shortcode)
            entries.append(
                LeaderboardEntry(
                    shortcode: result.shortcode, unicode: found.unicode, votes: "\(result.votes)"))
        }
        return entries
    }

    private func vote(for shortcode: String) async throws -> Response {
        guard !shortcode.isEmpty else {
            return Self.failure(.badRequest, "Emoji choice [\(shortcode)] is mandatory")
        }
        guard try await !find(shortcode).shortcode.isEmpty, let choice = EmojiCatalogue.choice(shortcode)
        else {
            return Self.failure(.badRequest, "Choice [\(shortcode)] is not an emoji of this poll")
        }
        _ = try await voting.call(
            choice.voteMethod, Emojivoto_V1_VoteRequest(), returning: Emojivoto_V1_VoteResponse.self)
        return Response(status: .ok)
    }

    private func find(_ shortcode: String) async throws -> Emojivoto_V1_Emoji {
        var request = Emojivoto_V1_FindByShortcodeRequest()
        request.shortcode = shortcode
        let response = try await emoji.call(
            "FindByShortcode", request, returning: Emojivoto_V1_FindByShortcodeResponse.self)
        return response.emoji
    }

    /// Turns any failure of a backend into a 500 with its message.
    private func answering(_ body: () async throws -> Response) async -> Response {
        do {
            return try await body()
        } catch {
            let text = (error as? RPCError).map {
                "rpc error: code = \($0.code.metricName) desc = \($0.message)"
            }
            logger.debug("Backend call failed", metadata: ["error": "\(error)"])
            return Self.failure(.internalServerError, text ?? "\(error)")
        }
    }

    private static func json(_ value: some Encodable) throws -> Response {
        let bytes = try JSONEncoder.sorted.encode(value)
        return Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    private static func failure(_ status: HTTPResponse.Status, _ message: String) -> Response {
        // Encoding a dictionary of strings cannot fail; an empty body would still carry the status.
        let bytes = (try? JSONEncoder().encode(["error": message])) ?? Data()
        return Response(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    private static func reply(_ contentType: String, _ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: contentType],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}

extension JSONEncoder {
    /// Keys in alphabetical order, so that equal answers are equal bytes.
    fileprivate static var sorted: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return encoder
    }
}
