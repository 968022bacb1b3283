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
// and those below it, nothing else may import but what is for tests, too.
var arrows = []struct {
	part string
	may  string
}{
	// Top: programs. They wire the services together and may know everything below.
	{"bench", "cmd/keyward services core api policies"},
	{"bench/internal/events", "core bench/internal/fleet"},
	{"bench/internal/outage", "core bench/internal/fleet"},
	{"bench/internal/fleet", "cmd/keyward/authenticator"},
	{"bench/internal/logins", "bench/internal/fleet cmd/keyward/authenticator"},
	{"bench/internal/disturbed", "policies bench/internal/fleet"},
	{"bench/internal/growth", "core bench/internal/fleet"},
	{"bench/internal/stages", "core/bus bench/internal/fleet cmd/keyward/authenticator"},
	{"test", "cmd/keyward services core api policies sdk"},
	{"cmd/keyward", ""},
	{"cmd/keyward/app", "services core policies"},
	{"cmd/keyward/app/settings", "services core cmd/keyward/app/devtls"},
	{"cmd/keyward/app/settings/signin", "core/operator cmd/keyward/app/settings/value"},
	{"cmd/keyward/app/settings/value", "core/ratelimit core/secret"},
	{"cmd/keyward/app/settings/workbench", "services/decision/adoption services/decision/index cmd/keyward/app/settings/value"},
	{"cmd/keyward/app/firstoperator", "core"},
	{"cmd/keyward/app/readiness", "core services"},
	{"cmd/keyward/app/devtls", ""},
	{"cmd/keyward/authenticator", ""},
	{"cmd/keyward/internal/cli", "cmd/keyward/app cmd/keyward/authenticator cmd/keyward/internal services core api policies"},
	{
		"cmd/keyward/internal/cli/command",
		"core cmd/keyward/internal/admin cmd/keyward/internal/config cmd/keyward/internal/operatorclient cmd/keyward/app/settings " +
			"cmd/keyward/app/devtls services/gateway.",
	},
	{"cmd/keyward/internal/cli/releasecmd/internal/textdiff", ""},
	{"services/decision/replay/internal/left", "core services/decision/internal/memo"},
	{"services/decision/replay/internal/then", "core api"},
	{
		"services/decision/replay/internal/retold",
		"core api services/decision/draft services/decision/internal services/decision/scenario",
	},
	{"cmd/keyward/internal/cli/policycmd/internal/published", ""},
	{"cmd/keyward/internal/cli/policycmd/internal/readiness", ""},
	{"cmd/keyward/internal/cli/policycmd/internal/reference", ""},
	{"cmd/keyward/internal/demo", "api cmd/keyward/authenticator cmd/keyward/internal/client cmd/keyward/internal/demo/visitor"},
	{"cmd/keyward/internal/demo/month", "api cmd/keyward/authenticator cmd/keyward/internal/client cmd/keyward/internal/demo/visitor"},
	{"cmd/keyward/internal/demo/visitor", "api cmd/keyward/authenticator cmd/keyward/internal/client"},
	{"cmd/keyward/internal/client", "api"},
	{"cmd/keyward/internal/operatorclient", "api cmd/keyward/internal/client"},
	{"cmd/keyward/internal/config", "core/plainfile cmd/keyward/app/settings"},
	{"cmd/keyward/internal/admin", "core services/ceremony. services/ceremony/signing"},
	{"cmd/keyward/internal/journal", "core"},
	{"cmd/keyward/internal/mover", "core"},
	{"cmd/keyward/internal/memory", ""},

	// Services never know one another: they meet in core/service.
	{"services/gateway", "core api"},
	{"services/gateway/internal/admission", "core api " + gatewayRooms("connection contract exchange issuer operation scope userapi")},
	{"services/gateway/internal/eventstream", "core api " + gatewayRooms("contract exchange")},
	{"services/gateway/internal/framing", gatewayRooms("connection")},
	{"services/gateway/internal/connection", ""},
	{"services/gateway/internal/exchange", "core api " + gatewayRooms("contract")},
	{"services/gateway/internal/operation", "core api " + gatewayRooms("contract")},
	{"services/gateway/internal/operating", "core api " + gatewayRooms("backoffice operation scope sso")},
	{"services/gateway/internal/sso", "core " + gatewayRooms("issuer")},
	{"services/gateway/internal/backoffice", "core api"},
	{"services/gateway/internal/contract", "core api " + gatewayRooms("scope")},
	{"services/gateway/internal/scope", ""},
	{"services/gateway/internal/userapi", "core api " + gatewayRooms("protocodec")},
	{"services/gateway/internal/protocodec", ""},
	{"services/gateway/internal/issuer", "core"},
	{"services/gateway/internal/certificate", "core"},
	{"services/gateway/internal/bridge", ""},
	{"services/gateway/internal/wellknown", "core " + gatewayRooms("exchange operation")},
	{"services/gateway/internal/page", "core api " + gatewayRooms("contract exchange")},
	{"services/ceremony", "core api"},
	{"services/ceremony/me", room("passkeys directory sessions codes environments")},
	{"services/ceremony/connect", room("passkeys directory sessions processes environments")},
	{"services/ceremony/signin", room("passkeys directory sessions processes environments codes delivery")},
	{"services/ceremony/signin/internal/counted", "core " + stored("code signin")},
	{"services/ceremony/signin/internal/settling", "core " + stored("outbox process signin")},
	{"services/ceremony/registrations", room("passkeys directory codes delivery")},
	{"services/ceremony/passkeys", room("sessions environments")},
	{"services/ceremony/stepups", room("passkeys/reply sessions environments")},
	{"services/ceremony/passkeys/reply", "core api " + stored("challenge")},
	{"services/ceremony/sessions", room("directory signing")},
	{"services/ceremony/codes", room("directory delivery")},
	{"services/ceremony/processes", room("environments")},
	{"services/ceremony/directory", room("")},
	{"services/ceremony/desk", room("")},
	{"services/ceremony/operators", "core " + stored("challenge relyingparty")},
	{"services/ceremony/labelling", room("")},
	{"services/ceremony/evaluation", room("stepups environments")},
	{"services/ceremony/challenges", room("passkeys/reply")},
	{"services/ceremony/integrity", room("")},
	{"services/ceremony/environments", room("")},
	{"services/ceremony/delivery", "core api"},
	{"services/ceremony/signing", "core api"},
	{"services/ceremony/aaguid", ""},
	{"services/ceremony/internal/challenge", "core api"},
	{"services/ceremony/internal/challenge/seal", "core/event core/ident core/keyring"},
	{"services/ceremony/internal/code", "core api services/ceremony/delivery"},
	{"services/ceremony/internal/connecttoken", "core api"},
	{"services/ceremony/internal/credindex", "core"},
	{"services/ceremony/internal/attestation", "core"},
	{"services/ceremony/internal/enrolment", "core api " + stored("attestation challenge credindex")},
	{"services/ceremony/internal/envhandle", "core"},
	{"services/ceremony/internal/folding", "core"},
	{"services/ceremony/internal/recheck", "core"},
	{"services/ceremony/internal/identindex", "core"},
	{"services/ceremony/internal/metrics", "core/fault"},
	{"services/ceremony/internal/outbox", "core " + stored("metrics")},
	{"services/ceremony/internal/passwordmanager", "core api"},
	{"services/ceremony/internal/process", "core api"},
	{"services/ceremony/internal/readmodel", "core api " + stored("session")},
	{"services/ceremony/internal/readmodel/internal/pages", "core " + stored("readmodel/internal/listdb")},
	{"services/ceremony/internal/readmodel/internal/listdb", "core api " + stored("session connecttoken")},
	{"services/ceremony/internal/relyingparty", "core " + stored("challenge")},
	{"services/ceremony/internal/session", "core api"},
	{"services/ceremony/internal/risk", "core api " + stored("attestation challenge relyingparty tidings")},
	{"services/ceremony/internal/refusal", "core " + stored("challenge relyingparty")},
	{"services/ceremony/internal/stepup", "core"},
	{"services/ceremony/internal/signin", "core api " + stored("code process")},
	{"services/ceremony/internal/tenant", "core"},
	{"services/ceremony/internal/tidings", "core " + stored("challenge")},
	{
		"services/ceremony/ceremonytest",
		"core api services/ceremony. services/ceremony/sessions services/ceremony/signing services/ceremony/delivery",
	},
	{"services/decision", "core api policies"},
	{"services/decision/providers", ""},
	{"services/decision/packed", "services/decision/internal"},
	{"services/decision/standing", "core api services/decision/explain services/decision/internal"},
	{"services/decision/adoption", "core api services/decision/internal"},
	{"services/decision/adoption/internal/fold", "core services/decision/internal/outline"},
	{"services/decision/index", "core api services/decision/internal services/decision/replay"},
	{"services/decision/index/internal/packing", ""},
	{"services/decision/index/internal/positions", ""},
	{"services/decision/index/internal/share", ""},
	{"services/decision/internal/outline", decisionRooms("facts")},
	{"services/decision/internal/projection", "core/direct"},
	{"services/decision/workbench", "core api policies services/decision/admit services/decision/internal"},
	{"services/decision/admit", "core/plainfile policies services/decision/internal services/decision/invariant services/decision/scenario"},
	{"services/decision/invariant", "core api policies services/decision/draft services/decision/internal services/decision/scenario"},
	{"services/decision/invariant/internal/population", "core/account api"},
	{
		"services/decision/invariant/internal/situation",
		"core api services/decision/draft services/decision/internal/engine services/decision/invariant/internal/population",
	},
	{"services/decision/invariant/internal/waiver", "services/decision/internal/engine"},
	{"services/decision/draft", "core api policies services/decision/scenario"},
	{
		"services/decision/study",
		"core api services/decision/explain services/decision/internal services/decision/replay",
	},
	{"services/decision/trial", "core api services/decision/explain services/decision/replay"},
	{
		"services/decision/replay",
		"core api policies services/decision. services/decision/draft services/decision/explain services/decision/internal " +
			"services/decision/scenario",
	},
	{"services/decision/scenario", "core api policies services/decision/internal"},
	{"services/decision/scenario/internal", ""},
	{"services/decision/scenario/internal/counted", "core/sighting"},
	{"services/decision/scenario/internal/vocabulary", "core api"},
	{"services/decision/scenario/internal/around", "core services/decision/scenario/internal/strictyaml"},
	{
		"services/decision/scenario/internal/logged",
		"core services/decision/scenario/internal/strictyaml services/decision/scenario/internal/vocabulary",
	},
	{
		"services/decision/scenario/internal/written",
		"core api services/decision/internal/backedup services/decision/internal/facts services/decision/scenario/internal/around " +
			"services/decision/scenario/internal/counted services/decision/scenario/internal/logged " +
			"services/decision/scenario/internal/strictyaml services/decision/scenario/internal/vocabulary",
	},
	{"services/decision/explain", "core api policies services/decision/internal"},
	{"services/decision/explain/internal", "services/decision/internal"},
	{"services/decision/explain/text", "core/service policies services/decision/explain " + decisionRooms("causes detect recognition")},
	{
		"services/decision/internal/engine",
		"core api " + decisionRooms(
			"binding bundle contradiction detect document facts given judgement kept lists memo reading reads reasons refusal retyped riskfacts "+
				"steps velocity",
		),
	},
	{"services/decision/internal/contradiction", "api " + decisionRooms("agent facts")},
	{"services/decision/internal/velocity", "core " + decisionRooms("bundle comparison document facts")},
	{"services/decision/internal/cells", ""},
	{"services/decision/internal/reads", decisionRooms("cells facts")},
	{"services/decision/internal/naming", decisionRooms("cells declared vocabulary")},
	{"services/decision/internal/refusal", "core api"},
	{"services/decision/internal/binding", "core api " + decisionRooms("refusal")},
	{"services/decision/internal/riskfacts", "core " + decisionRooms("backedup facts ladder")},
	{"services/decision/internal/backedup", ""},
	{"services/decision/internal/retyped", decisionRooms("bundle bundlefile")},
	{"services/decision/internal/ladder", ""},
	{"services/decision/internal/given", decisionRooms("bundlefile document naming vocabulary")},
	{"services/decision/internal/judgement", "core/service " + decisionRooms("reading reasons")},
	{"services/decision/internal/detect", "core api " + decisionRooms("agent document experiment facts lists recognition rollout")},
	{"services/decision/internal/lists", "core/account " + decisionRooms("document facts")},
	{"services/decision/internal/locations", "core/place"},
	{"services/decision/internal/outside", "core/address core/place " + decisionRooms("follow lists locations")},
	{"services/decision/internal/follow", "core/plainfile"},
	{"services/decision/internal/declared", ""},
	{"services/decision/internal/steps", decisionRooms("bundlefile comparison facts given")},
	{"services/decision/internal/rollout", "core " + decisionRooms("document experiment facts")},
	{"services/decision/internal/experiment", "core " + decisionRooms("document facts")},
	{"services/decision/internal/recognition", "core api policies " + decisionRooms("agent document facts memo")},
	{"services/decision/internal/agent", decisionRooms("document facts")},
	{"services/decision/internal/document", ""},
	{"services/decision/internal/facts", "core api " + decisionRooms("backedup cells declared given ladder memo naming vocabulary")},
	{"services/decision/internal/vocabulary", ""},
	{"services/decision/internal/reading", "core/event"},
	{"services/decision/internal/reasons", "core/service " + decisionRooms("bundle document")},
	{"services/decision/internal/causes", "core api " + decisionRooms("detect engine facts recognition")},
	{"services/decision/internal/provenance", "core/history"},
	{"services/decision/internal/kept", "core api " + decisionRooms("recognition")},
	{"services/decision/internal/bundle", "core/ident " + decisionRooms("bundlefile declared limits")},
	{"services/decision/internal/archive", "core/bus core/objects"},
	{"services/decision/internal/retry", ""},
	{"services/decision/internal/tarball", decisionRooms("bundlefile")},
	{"services/decision/internal/release", "core/bus core/ident core/kv " + decisionRooms("archive bundlefile canary retry")},
	{"services/decision/internal/canary", "core/event core/ident"},
	{"services/decision/internal/course", "core/event core/ident core/service " + decisionRooms("canary engine release")},
	{"services/decision/internal/record", "core api " + decisionRooms("facts kept metrics outline shadow")},
	{"services/decision/internal/shadow", "core/ident core/service core/sighting " + decisionRooms("canary course detect engine release")},
	{"services/decision/internal/metrics", "core/event " + decisionRooms("engine shadow")},
	{"services/decision/internal/notices", ""},
	{"services/decision/internal/signature", "core/plainfile " + decisionRooms("bundlefile")},
	{"services/decision/internal/signature/signaturetest", decisionRooms("bundlefile signature")},
	{"services/decision/internal/control", "core/bus core/ident core/kv " + decisionRooms("lists release")},
	{"services/decision/internal/intake", "policies " + decisionRooms("archive bundlefile signature tarball")},
	{"services/decision/internal/download", "core/plainfile " + decisionRooms("retry")},
	{"services/decision/internal/authenticators", "core/metadata " + decisionRooms("follow")},
	{"services/decision/internal/bundlefile", ""},
	{"services/decision/internal/limits", ""},
	{"services/decision/internal/memo", ""},
	{"services/decision/internal/tablerow", ""},
	{"services/events", "core api"},
	{"services/events/timeline", "core api"},
	{"services/events/internal/admissible", "core/event core/fault api"},
	{"services/events/internal/turn", ""},
	{"services/events/internal/webhook", "core"},
	{"services/events/internal/webhook/queue", "core services/events/internal/webhook."},
	{"services/events/internal/webhook/claim", "core/kv"},
	{
		"services/events/internal/webhook/dispatch",
		"core services/events/internal/webhook. services/events/internal/webhook/claim services/events/internal/webhook/queue",
	},

	// What services can do for each other, and how calls get there.
	{
		"core/service",
		"core/account core/event core/fault core/history core/ident core/inquiry core/listing core/patch core/place core/sighting " +
			"core/transfer api",
	},
	{"core/service/remote", "core/rpc core/bus core/service core/event core/ident core/inquiry core/patch core/transfer api"},
	{"core/clustertest", "core/loopbacktest"},
	{"core/loopbacktest", ""},
	{"core/redistest", ""},
	{"core/service/servicetest", "core/service core/event core/ident core/inquiry core/patch core/reqctx core/transfer api"},
	{"core/patch", "core/ident api"},
	{"core/rpc", "core/bus core/fault core/ident core/reqctx"},

	// The domain, in words of its own.
	{"core/transfer", "core/account core/event core/fault core/ident"},
	{"core/history", "core/account core/event core/ident"},
	{"core/listing", "core/fault"},
	{"core/audit", "core/bus core/direct core/ident core/operator core/project core/reqctx core/span"},
	{"core/inquiry", "api core/ident"},
	{"core/operator", "core/bus core/fault core/ident core/kv core/origin core/project core/secret"},
	{"core/project", "core/account core/bus core/fault core/ident core/keyring core/kv core/origin core/sighting"},
	{"core/origin", ""},
	{"core/account", "core/bus core/event core/fault core/ident core/kv core/patience"},
	{"core/sighting", "core/address core/event core/ident"},
	{"core/event", "core/ident core/place"},
	{"core/metadata", "core/bus core/objects"},
	{"core/metadata/metadatatest", ""},
	{"core/place", ""},
	{"core/place/mmdbtest", ""},

	// Where things are kept and how they travel.
	{"core/eventlog", "core/account core/bus core/cache core/deadline core/direct core/event core/fault core/flow " +
		"core/historycache core/ident core/patience core/sighting core/span"},
	{"core/historycache", "core/cache core/event core/ident core/kv core/sighting"},
	{"core/feed", "core/bus core/direct core/event core/ident"},
	{"core/idempotency", "core/bus core/fault core/ident core/kv"},
	{"core/backup", ""},
	{"core/backup/envelope", "core/backup"},
	{"core/backup/kept", "core/bus"},
	{"core/backup/take", "core/backup. core/backup/kept core/bus"},
	{"core/backup/restore", "core/backup. core/backup/kept core/bus"},
	{"core/atrest", "core/kv"},
	{"core/keyring", "core/atrest core/bus core/fault core/ident core/kv core/secret"},
	{"core/flow", ""},
	{"core/kv", "core/bus core/direct core/fault core/ident core/patience core/span"},
	{"core/patience", "core/deadline core/fault"},
	{"core/ratelimit", "core/cache"},
	{"core/cache", "core/span"},
	{"core/objects", "core/direct"},
	{"core/direct", "core/patience"},
	{"core/bus", "core/bus/internal/remake"},
	{"core/bus/internal/remake", ""},

	// What everything may stand on.
	{"core/telemetry", "core/reqctx core/secret"},
	{"core/reqctx", "core/ident"},
	{"core/deadline", ""},
	{"core/fault", ""},
	{"core/address", ""},
	{"core/plainfile", ""},
	{"core/ident", ""},
	{"core/secret", ""},
	{"core/span", ""},
	{"core/yamljson", ""},

	// The contracts, and what an internal service of somebody else's imports.
	{"api", ""},
	{"policies", ""},
	{"sdk", ""},

	// What writes and checks the tree reads it as text, so that what it writes need not compile first.
	{"tools/events", ""},
	{"tools/notices", ""},
	{"tools/appenders", ""},
	{"tools/plumbing", ""},
}

// houses are folders whose rooms have a row each: what is true of the folder is true of the package in it alone. A new room would else be
// let into every other.
var houses = []string{
	"cmd/keyward", "cmd/keyward/internal", "core", "services", "tools",
	"services/ceremony", "services/ceremony/internal", "services/decision", "services/decision/internal",
	"services/events", "services/events/internal", "services/gateway", "services/gateway/internal",
}

// gatewayRooms are rooms of the gateway.
func gatewayRooms(names string) string { return rooms("services/gateway/internal/", names) }

// decisionRooms are rooms of the decision service.
func decisionRooms(names string) string { return rooms("services/decision/internal/", names) }

// stored are packages inside the ceremony service, what is kept of each thing for the most part.
func stored(names string) string { return rooms("services/ceremony/internal/", names) }

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

// TestEachRowGovernsAPackage tells of rows that another hides, and of those whose packages are gone.
func TestEachRowGovernsAPackage(t *testing.T) {
	t.Parallel()
	governed := make([]bool, len(arrows))
	for _, f := range goFiles(t, ".", parser.PackageClauseOnly) {
		if i := rowOf(path.Dir(f.name)); i >= 0 {
			governed[i] = true
		}
	}
	seen := map[string]bool{}
	for i, a := range arrows {
		if seen[a.part] {
			t.Errorf("%s has two rows", a.part)
		} else if !governed[i] {
			t.Errorf("the row of %s governs no package", a.part)
		}
		seen[a.part] = true
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

		// A room that nobody has given a row.
		"services/ceremony/newroom core/fault":                            true,
		"services/ceremony/newroom services/ceremony/signin":              true,
		"services/ceremony/internal/newroom services/ceremony/internal/x": true,
		"services/decision/internal/newroom core/fault":                   true,
		"services/newservice core/fault":                                  true,
		"cmd/keyward/internal/newroom core/fault":                         true,
		"core/newpart core/fault":                                         true,
		"tools/newtool api/rest":                                          true,

		// Upward between rooms of one house.
		"services/ceremony/internal/tenant services/ceremony/internal/readmodel": true,
		"services/ceremony/internal/session services/ceremony/delivery":          true,
		"services/ceremony/internal/code services/ceremony/delivery":             false,
		"services/decision/internal/memo services/decision/internal/engine":      true,
		"services/decision/internal/engine services/decision/internal/memo":      false,
		"cmd/keyward/app cmd/keyward/internal/cli":                               true,
		"cmd/keyward/internal/cli cmd/keyward/app":                               false,
		"core/atrest core/kv":         false,
		"core/atrest core/bus":        true,
		"tools/plumbing core/service": true,
	} {
		from, to, _ := strings.Cut(arrow, " ")
		if why := forbidden(from, to); (why != "") != want {
			t.Errorf("%s: %q", arrow, why)
		}
	}
}

// forbidden says why a package may not import another, or nothing.
func forbidden(from, to string) string {
	forTests := func(pkg string) bool { return strings.Contains(pkg+"/", "test/") && !strings.HasPrefix(pkg, "test/") }
	if forTests(to) && !forTests(from) && !within(to, from) {
		return "only tests may import it"
	}
	best := rowOf(from)
	if best < 0 {
		return from + " has no place in the table of what may import what; give it one"
	}
	part, may := arrows[best].part, strings.Fields(arrows[best].may)
	if within(to, part) || slices.ContainsFunc(may, func(allowed string) bool { return within(to, allowed) }) {
		return ""
	}
	return part + " may import of the product, beside itself: " + strings.Join(may, ", ")
}

// rowOf returns the index of the row that governs a package, or -1 if none does: the one of the longest name, but not that of a house for
// what is in a room of it.
func rowOf(pkg string) int {
	best := -1
	for i, a := range arrows {
		if within(pkg, a.part) && (best < 0 || len(a.part) > len(arrows[best].part)) {
			best = i
		}
	}
	for _, house := range houses {
		if best >= 0 && pkg != house && within(pkg, house) && within(house, arrows[best].part) {
			return -1
		}
	}
	return best
}

// within reports whether a package is in a part: the folder or one below it, or exactly the package if the part ends in a dot.
func within(pkg, part string) bool {
	if exact, ok := strings.CutSuffix(part, "."); ok {
		return pkg == exact
	}
	return pkg == part || strings.HasPrefix(pkg, part+"/")
}
