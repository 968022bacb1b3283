package keyward_test

import (
	"go/parser"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows says what each part of the tree may import of the product, from the top floor down. A part is a folder with everything below it,
// unless a longer name is listed. What it may import is a folder with everything below it, or, with a dot at the end, the package alone;
// its own folder is always allowed, to Go's own rules on internal packages. What tests alone stand on, a package whose name ends in test
// and those below it, nothing else may import.
var arrows = []struct {
	part string
	may  string
}{
	// Top: programs. They wire the services together and may know everything below.
	{"bench", "cmd/keyward services core api policies"},
	{"bench/internal/events", "core bench/internal/fleet"},
	{"bench/internal/outage", "core bench/internal/fleet"},
	{"bench/internal/fleet", "cmd/keyward/authenticator"},
	{"test", "cmd/keyward services core api policies sdk"},
	{"cmd/keyward", "services core api policies"},
	{"cmd/keyward/app/settings/value", "core/ratelimit core/secret"},
	{"cmd/keyward/internal/cli/policycmd/internal/published", ""},
	{"cmd/keyward/internal/cli/policycmd/internal/reference", ""},

	// Services never know one another: they meet in core/service.
	{"services/gateway", "core api"},
	{"services/gateway/internal/admission", "core api " + gatewayRooms("connection contract exchange issuer operation userapi")},
	{"services/gateway/internal/eventstream", "core api " + gatewayRooms("contract exchange")},
	{"services/gateway/internal/framing", gatewayRooms("connection")},
	{"services/gateway/internal/exchange", "core api " + gatewayRooms("contract")},
	{"services/gateway/internal/operation", "core api " + gatewayRooms("contract")},
	{"services/gateway/internal/contract", "core api"},
	{"services/gateway/internal/userapi", "core api " + gatewayRooms("protocodec")},
	{"services/gateway/internal/protocodec", ""},
	{"services/gateway/internal/issuer", "core"},
	{"services/gateway/internal/certificate", "core"},
	{"services/gateway/internal/bridge", ""},
	{"services/gateway/internal/page", "core api " + gatewayRooms("contract exchange")},
	{"services/ceremony", "core api"},
	{"services/ceremony/me", room("passkeys directory sessions codes environments")},
	{"services/ceremony/connect", room("passkeys directory sessions processes environments")},
	{"services/ceremony/signin", room("passkeys directory sessions processes environments codes delivery")},
	{"services/ceremony/signin/internal/counted", "core services/ceremony/internal/code services/ceremony/internal/signin"},
	{"services/ceremony/registrations", room("passkeys directory codes delivery")},
	{"services/ceremony/passkeys", room("sessions environments")},
	{"services/ceremony/passkeys/reply", "core api services/ceremony/internal/challenge"},
	{"services/ceremony/sessions", room("directory signing")},
	{"services/ceremony/codes", room("directory delivery")},
	{"services/ceremony/processes", room("environments")},
	{"services/ceremony/directory", room("")},
	{"services/ceremony/integrity", room("")},
	{"services/ceremony/environments", room("")},
	{"services/ceremony/delivery", "core api"},
	{"services/ceremony/signing", "core api"},
	{"services/ceremony/aaguid", ""},
	{"services/ceremony/internal", "core api services/ceremony/delivery"},
	{"services/ceremony/internal/challenge/seal", "core/event core/ident core/keyring"},
	{"services/ceremony/internal/readmodel/internal/pages", "core services/ceremony/internal/readmodel/internal/listdb"},
	{
		"services/ceremony/internal/readmodel/internal/listdb",
		"core api services/ceremony/internal/session services/ceremony/internal/connecttoken",
	},
	{
		"services/ceremony/ceremonytest",
		"core api services/ceremony. services/ceremony/sessions services/ceremony/signing services/ceremony/delivery",
	},
	{"services/decision", "core api policies"},
	{"services/decision/providers", ""},
	{"services/decision/admit", "policies services/decision/internal services/decision/invariant"},
	{"services/decision/invariant", "core api policies services/decision/draft services/decision/internal services/decision/scenario"},
	{"services/decision/invariant/internal/population", "core/account api"},
	{"services/decision/draft", "core api policies services/decision/scenario"},
	{"services/decision/trial", "core api services/decision/explain services/decision/replay"},
	{
		"services/decision/replay",
		"core api policies services/decision. services/decision/draft services/decision/explain services/decision/internal " +
			"services/decision/scenario",
	},
	{"services/decision/scenario", "core api policies services/decision/internal"},
	{"services/decision/scenario/internal", ""},
	{
		"services/decision/scenario/internal/written",
		"core api services/decision/internal/facts services/decision/scenario/internal/strictyaml",
	},
	{"services/decision/explain", "core api policies services/decision/internal"},
	{"services/decision/explain/internal", "services/decision/internal"},
	{"services/decision/explain/text", "services/decision/explain services/decision/internal/detect"},
	{"services/decision/internal", "core api policies"},
	{"services/decision/internal/detect", "core api " + decisionRooms("agent document experiment facts recognition rollout")},
	{"services/decision/internal/rollout", "core " + decisionRooms("document experiment facts")},
	{"services/decision/internal/experiment", "core " + decisionRooms("document facts")},
	{"services/decision/internal/recognition", "core api policies " + decisionRooms("agent document facts")},
	{"services/decision/internal/agent", decisionRooms("document facts")},
	{"services/decision/internal/document", ""},
	{"services/decision/internal/facts", "core api policies services/decision/internal/memo"},
	{"services/events", "core api"},
	{"services/events/internal", "core api"},
	{"services/events/internal/webhook", "core"},
	{"services/events/internal/webhook/queue", "core services/events/internal/webhook."},
	{"services/events/internal/webhook/claim", ""},
	{
		"services/events/internal/webhook/dispatch",
		"core services/events/internal/webhook. services/events/internal/webhook/claim services/events/internal/webhook/queue",
	},

	// What services can do for each other, and how calls get there.
	{"core/service", "core/account core/event core/fault core/history core/ident core/listing core/transfer api"},
	{"core/service/remote", "core/rpc core/bus core/service core/event core/ident api"},
	{"core/loopbacktest", ""},
	{"core/service/servicetest", "core/service core/event core/ident core/reqctx api"},
	{"core/rpc", "core/bus core/fault core/ident core/reqctx"},

	// The domain, in words of its own.
	{"core/transfer", "core/account core/event core/fault core/ident"},
	{"core/history", "core/account core/event core/ident"},
	{"core/listing", "core/fault"},
	{"core/audit", "core/bus core/ident core/project core/reqctx core/span"},
	{"core/project", "core/account core/bus core/fault core/ident core/keyring core/kv core/origin"},
	{"core/origin", ""},
	{"core/account", "core/bus core/event core/fault core/ident core/kv core/patience"},
	{"core/event", "core/ident"},

	// Where things are kept and how they travel.
	{"core/eventlog", "core/account core/bus core/cache core/event core/fault core/historycache core/ident core/patience core/span"},
	{"core/historycache", "core/cache core/event core/ident core/kv"},
	{"core/feed", "core/bus core/direct core/event core/ident"},
	{"core/idempotency", "core/bus core/fault core/ident core/kv"},
	{"core/atrest", "core/bus core/kv"},
	{"core/atrest", ""},
	{"core/keyring", "core/atrest core/bus core/fault core/ident core/kv core/secret"},
	{"core/kv", "core/bus core/direct core/fault core/ident core/patience core/span"},
	{"core/patience", "core/fault"},
	{"core/ratelimit", "core/cache"},
	{"core/cache", "core/span"},
	{"core/direct", ""},
	{"core/bus", ""},

	// What everything may stand on.
	{"core/telemetry", "core/reqctx core/secret"},
	{"core/reqctx", "core/ident"},
	{"core/fault", ""},
	{"core/address", ""},
	{"core/ident", ""},
	{"core/secret", ""},
	{"core/span", ""},
	{"core/yamljson", ""},

	// The contracts, and what an internal service of somebody else's imports.
	{"api", ""},
	{"policies", ""},
	{"sdk", ""},
}

// gatewayRooms are rooms of the gateway.
func gatewayRooms(names string) string { return rooms("services/gateway/internal/", names) }

// decisionRooms are rooms of the decision service.
func decisionRooms(names string) string { return rooms("services/decision/internal/", names) }

func rooms(of, names string) string { return of + strings.ReplaceAll(names, " ", " "+of) }

// room is what a room of the ceremony service may import: the rooms below it that are named, and what all of them stand on.
func room(below string) string {
	may := "core api services/ceremony/internal"
	for _, name := range strings.Fields(below) {
		may += " services/ceremony/" + name
	}
	return may
}

func TestNothingImportsUpward(t *testing.T) {
	t.Parallel()
	files := goFiles(t, ".", parser.ImportsOnly)
	if len(files) < 100 {
		t.Fatalf("found %d files", len(files))
	}
	for _, f := range files {
		for _, imported := range f.tree.Imports {
			target, err := strconv.Unquote(imported.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			target, ours := strings.CutPrefix(target, module)
			if why := forbidden(path.Dir(f.name), target); ours && why != "" {
				t.Errorf("%s: %s imports %s: %s", f.at(imported.Pos()), path.Dir(f.name), target, why)
			}
		}
	}
}

func TestAnArrowUpwardIsFound(t *testing.T) {
	t.Parallel()
	for arrow, want := range map[string]bool{
		"core/fault api/rest":                                true,
		"core/account core/service":                          true,
		"services/events services/ceremony/signing":          true,
		"services/gateway cmd/keyward/app":                   true,
		"api/rest core/fault":                                true,
		"sdk/subscribe core/event":                           true,
		"policies core/ident":                                true,
		"somewhere core/ident":                               true,
		"services/gateway services/gateway/internal/userapi": false,
		"services/events core/account":                       false,
		"core/kv core/fault":                                 false,
		"cmd/keyward/app services/gateway":                   false,
		"sdk/subscribe sdk/event":                            false,
		"cmd/keyward/app services/ceremony/ceremonytest":     true,
		"services/gateway core/service/servicetest":          true,
		"services/ceremony/ceremonytest services/ceremony":   false,
	} {
		from, to, _ := strings.Cut(arrow, " ")
		if why := forbidden(from, to); (why != "") != want {
			t.Errorf("%s: %q", arrow, why)
		}
	}
}

// forbidden says why a package may not import another, or nothing.
func forbidden(from, to string) string {
	if strings.Contains(to+"/", "test/") && !strings.HasPrefix(to, "test/") && !within(to, from) {
		return "only tests may import it"
	}
	best := -1
	for i, a := range arrows {
		if within(from, a.part) && (best < 0 || len(a.part) > len(arrows[best].part)) {
			best = i
		}
	}
	if best < 0 {
		return from + " has no place in the table of what may import what; give it one"
	}
	part, may := arrows[best].part, strings.Fields(arrows[best].may)
	if within(to, part) || slices.ContainsFunc(may, func(allowed string) bool { return within(to, allowed) }) {
		return ""
	}
	return part + " may import of the product, beside itself: " + strings.Join(may, ", ")
}

// within reports whether a package is in a part: the folder or one below it, or exactly the package if the part ends in a dot.
func within(pkg, part string) bool {
	if exact, ok := strings.CutSuffix(part, "."); ok {
		return pkg == exact
	}
	return pkg == part || strings.HasPrefix(pkg, part+"/")
}
