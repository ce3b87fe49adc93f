import MeshMetrics
import MeshModel

/// Renders the service's own metrics.
enum TapMetrics {
    static func render(_ totals: TapTotals, sampler: TapTotals) -> [UInt8] {
        var writer = ExpositionWriter()
        func family(_ name: String, _ help: String, _ type: MetricType, _ value: UInt64) {
            writer.family(name, help: help, type: type)
            writer.sample(name, labelText: "", value: value)
        }
        let (counts, taps) = (totals.counts, totals.taps)
        family("tap_streams_total", "Taps started.", .counter, taps.total)
        family("tap_streams", "Taps that run.", .gauge, UInt64(max(0, taps.active)))
        family("tap_observed_proxies", "Streams from proxies that are open.", .gauge, UInt64(max(0, totals.observerCount)))
        family("tap_events_total", "Events given to callers.", .counter, counts.events)
        family("tap_requests_total", "Requests shown to callers.", .counter, counts.requests)
        writer.family(
            "tap_requests_not_shown_total", help: "Requests that matched and were not shown, by why.", type: .counter)
        let reasons = [
            ("limited", counts.limited), ("dropped", counts.droppedRequests), ("filtered", counts.filtered),
        ]
        for (reason, value) in reasons {
            writer.sample("tap_requests_not_shown_total", labels: [("reason", reason)], value: value)
        }
        family(
            "tap_dropped_events_total", "Events of shown requests that were lost.", .counter, counts.droppedEvents)
        family("tap_cut_requests_total", "Shown requests whose end was not seen.", .counter, counts.cut)
        family("tap_gaps_total", "Times that a proxy could not be observed, or no longer.", .counter, counts.gaps)
        family(
            "tap_unseen_milliseconds_total", "Time that proxies could not be observed, over the gaps that are over.", .counter,
            counts.unseenMilliseconds)
        writer.family("tap_refusals_total", help: "Questions refused, by why.", type: .counter)
        let refusals = totals.refusals
        for kind in TapRefusal.Kind.allCases {
            writer.sample("tap_refusals_total", labels: [("reason", "\(kind)")], value: refusals[kind] ?? 0)
        }
        let samples = sampler.counts
        family("tap_sampler_readers", "Readers of samples.", .gauge, UInt64(max(0, sampler.taps.active)))
        family(
            "tap_sampler_observed_proxies", "Streams of samples from proxies that are open.", .gauge,
            UInt64(max(0, sampler.observerCount)))
        family("tap_sampled_requests_total", "Requests sampled.", .counter, samples.requests)
        family(
            "tap_unsampled_requests_total", "Requests that observed proxies served and that were not sampled.", .counter,
            samples.limited &+ samples.droppedRequests)
        writer.family("viz_build_info", help: "Version of this program.", type: .gauge)
        writer.sample("viz_build_info", labels: [("version", BuildVersion.current)], value: UInt64(1))
        return writer.bytes
    }
}
