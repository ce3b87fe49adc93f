import MeshMetrics
import MeshModel
import MeshRollup
import RollupStore

/// Renders metrics-api's own metrics.
enum OwnMetrics {
    /// - Parameters:
    ///   - store: `nil` when another server is asked instead.
    ///   - ingestor: As `store`.
    ///   - samples: As `store`.
    static func render(
        _ sources: VizSources, store: RollupStore?, ingestor: Ingestor?, samples: SampleStatus?
    ) async -> [UInt8] {
        var writer = ExpositionWriter()
        if let store, let ingestor {
            addKeeper(&writer, store: await store.currentStatus(), ingest: await ingestor.currentStatus())
            TargetReport.write(await ingestor.targetStatuses(), to: &writer)
        }
        if let samples { addSamples(&writer, samples) }
        sources.metrics.render(to: &writer)
        writer.family("viz_build_info", help: "Version of this program.", type: .gauge)
        writer.sample("viz_build_info", labels: [("version", BuildVersion.current)], value: UInt64(1))
        return writer.bytes
    }

    private static func addSamples(_ writer: inout ExpositionWriter, _ status: SampleStatus) {
        func family(_ name: String, _ help: String, _ type: MetricType, _ value: UInt64) {
            writer.family(name, help: help, type: type)
            writer.sample(name, labelText: "", value: value)
        }
        family("viz_samples_connected", "1 while the tap service sends samples.", .gauge, status.isConnected ? 1 : 0)
        family("viz_sampled_requests_total", "Requests sampled.", .counter, status.requests)
        family(
            "viz_sampled_requests_estimated_total", "Requests that the sampled ones stand for.", .counter,
            status.estimatedRequests)
        family("viz_sample_failures_total", "Streams of samples that broke.", .counter, status.failures)
        family("viz_sampled_proxies", "Proxies that are sampled.", .gauge, UInt64(status.observedProxies))
        family("viz_sampleable_proxies", "Proxies that could be sampled.", .gauge, UInt64(status.knownProxies))
    }

    private static func addKeeper(
        _ writer: inout ExpositionWriter, store: RollupStore.Status, ingest: Ingestor.Status
    ) {
        func counter(_ name: String, _ help: String, _ value: UInt64) {
            writer.family(name, help: help, type: .counter)
            writer.sample(name, labelText: "", value: value)
        }
        func gauge(_ name: String, _ help: String, _ value: Int) {
            writer.family(name, help: help, type: .gauge)
            writer.sample(name, labelText: "", value: Int64(value))
        }
        counter("viz_scrapes_total", "Scrapes taken in.", ingest.scrapes)
        counter("viz_scrape_failures_total", "Scrapes without a usable answer.", ingest.failedScrapes)
        counter("viz_scraped_bytes_total", "Bytes of scrapes.", ingest.scrapedBytes)
        counter("viz_malformed_lines_total", "Lines of scrapes that were no samples.", ingest.malformedLines)
        counter("viz_unusable_values_total", "Values of scrapes that were no counts.", ingest.unusableValues)
        counter(
            "viz_ignored_series_total", "Series that scrapes left out because there were too many.",
            ingest.ignoredSeries)
        gauge("viz_scraped_pods", "Pods with a cursor.", ingest.pods)
        gauge("viz_series", "Series that cursors hold.", ingest.series)
        gauge(
            "viz_folded_edges", "Edges counted under other because of the label budget.", ingest.foldedEdges)
        gauge("viz_store_keys", "Objects and edges in the store.", store.keyCount)
        gauge("viz_store_hot_bytes", "Bytes of recent buckets in memory.", store.hotBytes)
        gauge("viz_store_pending_records", "Scrapes not committed yet.", store.pendingRecords)
        counter(
            "viz_store_dropped_records_total", "Scrapes that never reached the file.",
            UInt64(store.droppedRecords))
        counter("viz_store_corrupt_chunks_total", "Chunks that did not decode.", UInt64(store.corruptChunks))
        counter("viz_store_failed_commits_total", "Transactions that failed.", UInt64(store.failedCommits))
        gauge("viz_store_writable", "1 when the last write succeeded.", store.isWritable ? 1 : 0)
        gauge("viz_store_file_bytes", "Size of the file and its write-ahead log.", Int(store.fileBytes))
        counter(
            "viz_store_removed_spans_total", "Spans of history removed because of their age or of a budget.",
            UInt64(store.removedSpans))
        counter(
            "viz_store_files_set_aside_total", "Files found corrupt since the start.",
            UInt64(store.filesSetAside.count))
        writer.family("viz_store_tier_bytes", help: "Bytes of history, by width of its buckets.", type: .gauge)
        for tier in Tier.allCases {
            writer.sample(
                "viz_store_tier_bytes", labels: [("bucket_seconds", "\(tier.bucketMilliseconds / 1_000)")],
                value: UInt64(clamping: store.tierBytes[tier] ?? 0))
        }
    }
}
