import MeshCompression
import NIOCore
import Testing

@Suite("Compression", .timeLimit(.minutes(1))) struct CompressionTests {
    /// Bytes that compress somewhat, from a seed.
    private static func bytes(_ count: Int, seed: UInt64) -> ByteBuffer {
        var state = seed
        var buffer = ByteBuffer()
        for _ in 0..<count {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            buffer.writeInteger(UInt8(truncatingIfNeeded: state >> 60))
        }
        return buffer
    }

    @Test("What was compressed expands to itself", arguments: [0, 1, 100, 16_384, 16_385, 1_000_000])
    func gzip(count: Int) throws {
        let plain = Self.bytes(count, seed: UInt64(count))
        let packed = try Gzip.compress(plain)
        #expect(try Gzip.expand(packed, outputBytesMax: count) == plain)
    }

    @Test("A stream is readable after every piece, and shares a dictionary")
    func pieces() throws {
        let dictionary = Array("content-type application/json".utf8)
        var deflater = try Deflater(format: .zlib, dictionary: dictionary)
        var inflater = try Inflater(format: .zlib, dictionary: dictionary)
        for seed in 1...50 {
            let plain = Self.bytes(seed * 700, seed: UInt64(seed))
            let packed = try deflater.deflate(plain, flush: .sync)
            #expect(try inflater.inflate(packed, outputBytesMax: 1 << 20) == plain)
        }
        let last = try deflater.deflate(ByteBuffer(string: "end"), flush: .finish)
        #expect(try inflater.inflate(last, outputBytesMax: 100) == ByteBuffer(string: "end"))
        let isFinished = inflater.isFinished
        #expect(isFinished)
    }

    @Test("Input split anywhere gives the same output")
    func splits() throws {
        let plain = Self.bytes(3_000, seed: 7)
        let packed = try Gzip.compress(plain)
        for split in stride(from: 0, through: packed.readableBytes, by: 97) {
            var input = packed
            var inflater = try Inflater(format: .gzip)
            let head = input.readSlice(length: split) ?? ByteBuffer()
            var output = try inflater.inflate(head, outputBytesMax: 1 << 20)
            output.writeImmutableBuffer(try inflater.inflate(input, outputBytesMax: 1 << 20))
            #expect(output == plain)
            let isFinished = inflater.isFinished
            #expect(isFinished)
        }
    }

    @Test("A small input cannot fill the memory")
    func bombs() throws {
        let packed = try Gzip.compress(ByteBuffer(repeating: 0, count: 50_000_000))
        #expect(packed.readableBytes < 100_000)
        #expect(throws: CompressionError.self) { try Gzip.expand(packed, outputBytesMax: 1 << 20) }
    }

    @Test("Damaged, cut and dictionary-less input is an error, never a crash")
    func damages() throws {
        let plain = Self.bytes(2_000, seed: 3)
        let packed = try Gzip.compress(plain)
        for index in 0..<packed.readableBytes {
            var damaged = packed
            let byte: UInt8 = packed.getInteger(at: packed.readerIndex + index) ?? 0
            damaged.setInteger(byte ^ 0x55, at: damaged.readerIndex + index)
            // Some header bytes may change without harm; all that counts is an answer.
            let answer = try? Gzip.expand(damaged, outputBytesMax: 1 << 20)
            #expect(answer == nil || answer == plain)
        }
        let cut = packed.getSlice(at: packed.readerIndex, length: packed.readableBytes / 2) ?? ByteBuffer()
        #expect(throws: CompressionError.self) { try Gzip.expand(cut, outputBytesMax: 1 << 20) }
        var deflater = try Deflater(format: .zlib, dictionary: [1, 2, 3, 4, 5])
        let needy = try deflater.deflate(plain, flush: .finish)
        var inflater = try Inflater(format: .zlib)
        do {
            _ = try inflater.inflate(needy, outputBytesMax: 1 << 20)
            Issue.record("expanded without the dictionary")
        } catch { #expect(error.kind == .dictionaryMissing) }
    }
}
