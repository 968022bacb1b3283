package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/keyward/keyward/api"
	"github.com/keyward/keyward/services/gateway/internal/contract"
)

// Whatever a client says of itself, there is a decision: at worst it is that nothing is known.
func TestWhatAClientSaysOfItselfIsNeverRefusedForItsText(t *testing.T) {
	t.Parallel()
	backend, err := contract.Parse(api.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("it did not work, ", 250)
	start := func(client string) string {
		return `{"userID":"usr-4693224802260150919","processID":"abcdefghijabcdefghij","crossDeviceAuthenticationStrategy":"standard",` +
			`"clientInformation":{"remoteAddress":"203.0.113.7",` + client + `}}`
	}
	begin := func(native string) string {
		return `{"flags":{},"clientInformation":{"isNative":true,"nativeMeta":{` + native + `}}}`
	}
	for _, c := range []struct {
		name string
		op   *contract.Operation
		body string
	}{
		{"an empty user agent", backend.Operation("passkeyLoginStart"), start(`"userAgent":""`)},
		{"a user agent of 4 kB", backend.Operation("passkeyLoginStart"), start(`"userAgent":"` + long + `"`)},
		{
			"an app's error of 4 kB, from a back end", backend.Operation("passkeyLoginStart"),
			start(`"userAgent":"okhttp/4.12.0","nativeMeta":{"error":"` + long + `"}`),
		},
		{"an app's error of 4 kB", frontendDocument(t).Operation("connectLoginInit"), begin(`"error":"` + long + `"`)},
		{
			"a way to unlock that nobody has heard of", frontendDocument(t).Operation("connectLoginInit"),
			begin(`"platform":"iOS","platformVersion":"18.1","displayName":"Example","deviceOwnerAuth":"telepathy"`),
		},
		{"no name of the app", frontendDocument(t).Operation("connectLoginInit"), begin(`"platform":"Android","platformVersion":"15"`)},
		{"nothing of the app", frontendDocument(t).Operation("connectLoginInit"), begin(``)},
		{"an app that knows nothing", frontendDocument(t).Operation("connectLoginInit"), begin(nothingKnown(t, "NativeMeta"))},
		{
			"a login of one who knows nothing", frontendDocument(t).Operation("connectLoginInit"),
			`{"flags":{},"invitationToken":null,"situation":null,"clientInformation":{` + nothingKnown(t, "ClientInformation") + `}}`,
		},
		{
			"a creation of one who knows nothing", frontendDocument(t).Operation("connectAppendInit"),
			`{"flags":{},"clientInformation":{` + nothingKnown(t, "ClientInformation") + `}}`,
		},
		{
			"a list of one who knows nothing", frontendDocument(t).Operation("connectManageInit"),
			`{"flags":{},"clientInformation":{` + nothingKnown(t, "ClientInformation") + `}}`,
		},
		{
			"a process of one who knows nothing", frontendDocument(t).Operation("processInit"),
			`{"passkeyAppendShown":null,"optOutOfPasskeyAppendAfterHybrid":null,"preferredBlock":null,` +
				`"clientInformation":{` + nothingKnown(t, "ClientInformation") + `}}`,
		},
		{"a start without a client", frontendDocument(t).Operation("passkeyLoginStart"), `{"clientInformation":null,"source":null}`},
		{
			"hints, capabilities and a handle's story of which nothing is known", frontendDocument(t).Operation("passkeyLoginStart"),
			`{"clientInformation":{"javaScriptHighEntropy":{` + nothingKnown(t, "JavaScriptHighEntropy") + `},"clientCapabilities":{` +
				nothingKnown(t, "ClientCapabilities") + `},"clientEnvHandleMeta":{` + nothingKnown(t, "ClientStateMeta") + `}}}`,
		},
		{
			"a handle that was kept where nobody has heard of", frontendDocument(t).Operation("passkeyLoginStart"),
			`{"clientInformation":{"clientEnvHandle":"a","clientEnvHandleMeta":{"ts":1764340000000,"source":"keychain"}}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if found, err := c.op.CheckBody([]byte(c.body)); err != nil || len(found) > 0 {
				t.Errorf("refused: %v %v", found, err)
			}
		})
	}
}

// nothingKnown are all members that a schema of the Frontend API has, without braces and each null.
func nothingKnown(t *testing.T, schema string) string {
	t.Helper()
	var document struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	if err := json.Unmarshal(frontendDocument(t).JSON(), &document); err != nil {
		t.Fatal(err)
	}
	var members []string
	for name := range document.Components.Schemas[schema].Properties {
		members = append(members, `"`+name+`":null`)
	}
	if len(members) < 2 {
		t.Fatalf("%s has %d members", schema, len(members))
	}
	return strings.Join(members, ",")
}
