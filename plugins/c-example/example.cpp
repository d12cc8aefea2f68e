// A plugin for introd in C++: it denies lookups of the peers that its configuration names, and counts them.

#include <introd_plugin.h>

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Peer = std::array<std::uint8_t, 32>;

introd_bytes bytes(std::string_view text)
{
    return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

Peer peer_of(const introd_peer_id &id)
{
    Peer peer;
    std::copy(std::begin(id.bytes), std::end(id.bytes), peer.begin());
    return peer;
}

// The data of an instance. Nothing of it changes after the constructor, so that callbacks need no lock.
class Filter {
public:
    Filter(const introd_host *host, std::string_view xml)
        : host_(host), metrics_(static_cast<const introd_host_metrics *>(host->get_extension(host, INTROD_EXT_METRICS)))
    {
        // A setting with a misspelled name must not be passed over: a peer would not be denied then.
        bool is_whole = take(xml, "<Config>");
        while (is_whole && take(xml, "<deny>")) {
            const auto end = std::min(xml.find('<'), xml.size());
            denied_.push_back(parse(xml.substr(0, end)));
            xml.remove_prefix(end);
            is_whole = take(xml, "</deny>");
        }
        if (!is_whole || !take(xml, "</Config>")) {
            throw std::invalid_argument("<Config> may have <deny> elements alone, each a peer ID of 64 hexadecimal digits");
        }
        std::sort(denied_.begin(), denied_.end());
        if (metrics_) {
            counter_ = metrics_->metric(host, INTROD_METRIC_COUNTER, bytes("denied"), bytes("Lookups denied"));
        }
        if (auto log = static_cast<const introd_host_log *>(host->get_extension(host, INTROD_EXT_LOG))) {
            const auto line = "denies lookups of " + std::to_string(denied_.size()) + " peers";
            log->log(host, INTROD_LOG_INFO, bytes(line));
        }
    }

    std::int32_t lookup(const introd_lookup &lookup) const
    {
        if (!(lookup.flags & INTROD_LOOKUP_HAS_TARGET)
            || !std::binary_search(denied_.begin(), denied_.end(), peer_of(lookup.target))) {
            return INTROD_CONTINUE;
        }
        if (counter_) {
            metrics_->add(host_, counter_, 1);
        }
        return INTROD_DENY;
    }

private:
    // Goes over blanks, and over `text` if that follows. Returns whether it does.
    static bool take(std::string_view &xml, std::string_view text)
    {
        xml.remove_prefix(std::min(xml.find_first_not_of(" \t\r\n"), xml.size()));
        const auto follows = xml.substr(0, text.size()) == text;
        xml.remove_prefix(follows ? text.size() : 0);
        return follows;
    }

    static Peer parse(std::string_view text)
    {
        constexpr std::string_view digits = "0123456789abcdef";
        Peer peer;
        const auto digit = [&](char character) {
            const auto lower = character >= 'A' && character <= 'F' ? static_cast<char>(character - 'A' + 'a') : character;
            const auto value = digits.find(lower);
            if (value == digits.npos) {
                throw std::invalid_argument("<deny> must be a peer ID of 64 hexadecimal digits");
            }
            return static_cast<std::uint8_t>(value);
        };
        if (text.size() != 2 * peer.size()) {
            throw std::invalid_argument("<deny> must be a peer ID of 64 hexadecimal digits");
        }
        for (std::size_t place = 0; place < peer.size(); place++) {
            peer[place] = static_cast<std::uint8_t>(digit(text[2 * place]) << 4 | digit(text[2 * place + 1]));
        }
        return peer;
    }

    const introd_host *host_;
    const introd_host_metrics *metrics_;
    std::uint32_t counter_ = 0;
    std::vector<Peer> denied_;
};

// No exception may leave a callback.
template <typename Work> std::int32_t guarded(Work work) noexcept
{
    try {
        return work();
    } catch (...) {
        return INTROD_E_PANIC;
    }
}

std::int32_t create(const introd_host *host, const introd_create *create, introd_answer *answer,
                    introd_instance *instance)
{
    return guarded([&]() -> std::int32_t {
        try {
            const std::string_view xml(reinterpret_cast<const char *>(create->config.ptr), create->config.len);
            *instance = std::make_unique<Filter>(host, xml).release();
            return INTROD_OK;
        } catch (const std::invalid_argument &error) {
            introd_verdict verdict = {};
            verdict.struct_size = sizeof verdict;
            verdict.kind = INTROD_E_FAILED;
            verdict.text = bytes(error.what());
            return host->answer(host, answer, &verdict);
        }
    });
}

std::int32_t destroy(introd_instance instance)
{
    return guarded([&]() -> std::int32_t {
        delete static_cast<Filter *>(instance);
        return INTROD_OK;
    });
}

std::int32_t lookup(introd_instance instance, const introd_lookup *lookup, introd_answer *)
{
    return guarded([&] { return static_cast<const Filter *>(instance)->lookup(*lookup); });
}

const introd_plugin &plugin()
{
    static const introd_plugin table = [] {
        introd_plugin table = {};
        table.struct_size = sizeof table;
        table.abi_major = INTROD_ABI_MAJOR;
        table.abi_minor = INTROD_ABI_MINOR;
        table.name = bytes("example-cpp");
        table.version = bytes("1.0.0");
        table.description = bytes("Denies lookups of the peers that its configuration names");
        table.create = create;
        table.destroy = destroy;
        table.lookup = lookup;
        return table;
    }();
    return table;
}

} // namespace

extern "C" INTROD_PLUGIN_EXPORT const introd_plugin *introd_plugin_entry_v1(const introd_host *)
{
    return &plugin();
}
