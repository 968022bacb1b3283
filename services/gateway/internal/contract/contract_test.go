package contract

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/api"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
)

// typed are Go types that request bodies are decoded into, by operation: as many as it takes to meet every kind of schema.
var typed = map[string]func() any{
	"createUser":               func() any { return new(rest.UserCreateReq) },
	"updateUser":               func() any { return new(rest.UserUpdateReq) },
	"createPasskeyEvent":       func() any { return new(rest.PasskeyEventCreateReq) },
	"updatePasskeyChallenge":   func() any { return new(rest.PasskeyChallengeUpdateReq) },
	"passkeyAppendStart":       func() any { return new(rest.PasskeyAppendStartReq) },
	"passkeyAppendFinish":      func() any { return new(rest.PasskeyAppendFinishReq) },
	"passkeyLoginStart":        func() any { return new(rest.PasskeyLoginStartReq) },
	"passkeyLoginFinish":       func() any { return new(rest.PasskeyLoginFinishReq) },
	"passkeyMediationStart":    func() any { return new(rest.PasskeyMediationStartReq) },
	"passkeyMediationFinish":   func() any { return new(rest.PasskeyMediationFinishReq) },
	"createSocialAccount":      func() any { return new(rest.SocialAccountCreateReq) },
	"createIdentifier":         func() any { return new(rest.IdentifierCreateReq) },
	"updateIdentifier":         func() any { return new(rest.IdentifierUpdateReq) },
	"createChallenge":          func() any { return new(rest.ChallengeCreateReq) },
	"updateChallenge":          func() any { return new(rest.ChallengeUpdateReq) },
	"createAuthEvent":          func() any { return new(rest.AuthEventCreateReq) },
	"updateProjectConfig":      func() any { return new(rest.ProjectConfigUpdateReq) },
	"updateCname":              func() any { return new(rest.CnameUpdateReq) },
	"createConnectToken":       func() any { return new(rest.ConnectTokenCreateReq) },
	"updateConnectToken":       func() any { return new(rest.ConnectTokenUpdateReq) },
	"createWebhookEndpoint":    func() any { return new(rest.WebhookEndpointCreateReq) },
	"updateWebhookEndpoint":    func() any { return new(rest.WebhookEndpointUpdateReq) },
	"createWebhookSecret":      func() any { return new(rest.WebhookSecretCreateReq) },
	"replayWebhookDeadLetters": func() any { return new(rest.WebhookReplayReq) },
	"createLongSession":        func() any { return new(rest.LongSessionCreateReq) },
	"updateLongSession":        func() any { return new(rest.LongSessionUpdateReq) },
	"createShortSession":       func() any { return new(rest.ShortSessionCreateReq) },
	"passkeyVerifySignedData":  func() any { return new(rest.VerifySignedDataReq) },
	"passkeysVerifySignedData": func() any { return new(rest.VerifySignedDataReq) },
	"passkeyPostLogin":         func() any { return new(rest.PostLoginReq) },
}

const wholeLoginStart = `{"userID":"usr-4693224802260150919","processID":"abcdefghijabcdefghij",` +
	`"crossDeviceAuthenticationStrategy":"standard","clientInformation":{"remoteAddress":"203.0.113.7",` +
	`"userAgent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 ` +
	`Safari/537.36","clientEnvHandle":"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",` +
	`"clientEnvHandleMeta":{"ts":1732280000000,"source":"ls"},"javascriptFingerprint":"0123456789abcdef",` +
	`"javaScriptHighEntropy":{"platform":"macOS","platformVersion":"15.1.0","mobile":false},` +
	`"bluetoothAvailable":true,"passwordManagerAvailable":true,"userVerifyingPlatformAuthenticatorAvailable":true,` +
	`"conditionalMediationAvailable":true,"clientCapabilities":{"conditionalCreate":true,` +
	`"conditionalMediation":true,"hybridTransport":true,"passkeyPlatformAuthenticator":true,"userVerifyingPlatformAuthenticator":true},` +
	`"privateMode":false,` +
	`"parsedDeviceInfo":{"browserName":"Chrome","browserVersion":"131.0.0.0","osName":"macOS","osVersion":"15.1.0"}}}`

func parse(t testing.TB) *Document {
	t.Helper()
	d, err := Parse(api.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// decoder returns the decoder of an operation's bodies into their own type.
func decoder(t interface{ Fatalf(string, ...any) }, op *Operation) *Decoder {
	d, err := NewDecoder(op, reflect.ValueOf(typed[op.ID]()).Elem().Interface())
	if err != nil {
		t.Fatalf("%s: %v", op.ID, err)
	}
	return d
}

// quickly reports whether the one pass takes a body, and what it makes of it.
func quickly(t interface{ Fatalf(string, ...any) }, op *Operation, body []byte) (any, bool) {
	into := typed[op.ID]()
	return into, decoder(t, op).quickly(body, reflect.ValueOf(into).Elem())
}

func TestAGoodBodyIsAcceptedBothWays(t *testing.T) {
	t.Parallel()
	op := parse(t).Operation("passkeyLoginStart")
	if _, ok := quickly(t, op, []byte(wholeLoginStart)); !ok {
		t.Error("the quick check refuses it")
	}
	if found, err := op.CheckBody([]byte(wholeLoginStart)); err != nil || len(found) > 0 {
		t.Errorf("the full check says %v %v", found, err)
	}
}

// agree holds the two checks and the decoder to one another: what is let through quickly is what the full check finds good, and what the
// full check finds good can be decoded.
func agree(t interface{ Fatalf(string, ...any) }, op *Operation, body []byte) {
	decoded := typed[op.ID]()
	decodeErr := json.Unmarshal(body, decoded)
	found, err := op.CheckBody(body)
	good := err == nil && len(found) == 0
	read, quick := quickly(t, op, body)
	if quick && !good {
		t.Fatalf("%s: accepted quickly, but the full check says %v %v\n%q", op.ID, found, err, body)
	}
	if quick {
		if diff := cmp.Diff(decoded, read); diff != "" {
			t.Fatalf("%s: read quickly it is something else: %s\n%q", op.ID, diff, body)
		}
	}
	whole := typed[op.ID]()
	wholeErr := decoder(t, op).Decode(body, whole)
	if (wholeErr == nil) != good {
		t.Fatalf("%s: the decoder says %v, the full check %v %v\n%q", op.ID, wholeErr, found, err, body)
	}
	if good {
		if diff := cmp.Diff(decoded, whole); diff != "" {
			t.Fatalf("%s: the decoder made something else of it: %s\n%q", op.ID, diff, body)
		}
	}
	if good && decodeErr != nil {
		t.Fatalf("%s: good, but it cannot be decoded: %v\n%q", op.ID, decodeErr, body)
	}
	var broken *NotJSON
	if err != nil && !errors.As(err, &broken) {
		t.Fatalf("%s: the error is %T: %v", op.ID, err, err)
	}
	for i, f := range found {
		if f.Field == "" || f.Message == "" || !utf8.ValidString(f.Field) || (i > 0 && found[i-1].Field >= f.Field) {
			t.Fatalf("%s: entry %d of %v is not in order", op.ID, i, found)
		}
	}
}

func FuzzBodies(f *testing.F) {
	d := parse(f)
	var ids []string
	for _, op := range d.Operations {
		if typed[op.ID] != nil {
			ids = append(ids, op.ID)
		}
	}
	for i := range ids {
		for _, body := range []string{
			wholeLoginStart, `{}`, `{"status":"active"}`, `{"eventType":"login-error","expires":1.0}`, `{"a":1,"a":2}`,
			"{\"fullName\":\"\xff\"}", `{"fullName":"\u0000"}`, `{"status":"active","fullName":"\ud800"}`, `[[[]]]`,
			`{"expires":1e3}`, `{"expires":-0}`, `null`, `"`, ``, `{"st\u0061tus":"active"}`, `{"fullName":null}`, `{"":{}}`,
		} {
			f.Add(uint8(i), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		agree(t, d.Operation(ids[int(which)%len(ids)]), body)
	})
}

// TestBodiesChangedInOnePlaceAreJudgedAlike changes good bodies where the fuzzer's random bytes seldom get: one member gone, or of
// another type, size or spelling.
func TestBodiesChangedInOnePlaceAreJudgedAlike(t *testing.T) {
	t.Parallel()
	d := parse(t)
	rapid.Check(t, func(t *rapid.T) {
		var body map[string]any
		if err := stdjson.Unmarshal([]byte(wholeLoginStart), &body); err != nil {
			t.Fatal(err)
		}
		body["status"], body["eventType"], body["expires"], body["username"] = "active", "login-error", 12, "ada"
		body["attestationResponse"], body["assertionResponse"], body["passkeyIntelFlags"] = "{}", "{}", map[string]any{"forcePasskeyAppend": true}
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			change(t, body)
		}
		raw, err := stdjson.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		id := rapid.SampledFrom(
			[]string{
				"createUser", "updateUser", "createPasskeyEvent", "passkeyAppendStart", "passkeyLoginStart", "passkeyLoginFinish",
				"passkeyMediationFinish",
			},
		).
			Draw(t, "operation")
		op := d.Operation(id)
		agree(t, op, raw)
		if found, err := op.CheckBody(
			raw,
		); err == nil && len(found) == 0 && bytes.Count(raw, []byte("{")) <= maxDepth &&
			!bytes.Contains(raw, []byte(`\u0000`)) {
			if _, ok := quickly(t, op, raw); !ok {
				t.Fatalf("%s: good, but not accepted quickly: %s", id, raw)
			}
		}
	})
}

func change(t *rapid.T, object map[string]any) {
	key := rapid.SampledFrom(sortedKeys(object)).Draw(t, "member")
	if inner, ok := object[key].(map[string]any); ok && len(inner) > 0 && rapid.Bool().Draw(t, "inside") {
		change(t, inner)
		return
	}
	value := rapid.SampledFrom(
		[]any{
			nil, true, 0, -1, 1.5, 1e300, int64(1) << 40, "", "x", "usr-1", "usr-1\n", strings.Repeat("é", 200),
			strings.Repeat("x", 3000), "\x00", []any{}, map[string]any{}, "active", "ls",
		},
	).
		Draw(t, "value")
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		delete(object, key)
		object["left"] = 1 // so that an object never runs empty
	case 1:
		object[strings.ToUpper(key)] = value
	case 2:
		object[key] = value
	}
}

func TestADocumentThatCannotBeUsedIsRefused(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"not YAML":        "a: [",
		"no operation":    "openapi: 3.1.0",
		"a broken schema": "paths: {/a: {post: {security: [], requestBody: {content: {application/json: {schema: {type: nothing}}}}}}}",
		"a cookie":        "paths: {/a: {get: {security: [], parameters: [{name: X, in: cookie, schema: {type: string}}]}}}",
		"no permission":   "paths: {/a: {get: {operationId: a}}}",
		"a dangling ref":  "paths: {/a: {get: {security: [], parameters: [{name: x, in: query, schema: {$ref: '#/components/none'}}]}}}",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse([]byte(document)); err == nil {
				t.Error("it was accepted")
			}
		})
	}
}

func TestHeadersAreChecked(t *testing.T) {
	t.Parallel()
	op := parse(t).Operation("createUser")
	if !op.TakesHeader("Idempotency-Key") || op.TakesHeader("X-Other") || parse(t).Operation("getUser").TakesHeader("Idempotency-Key") {
		t.Error("it is not told which headers an operation takes")
	}
	for name, tc := range map[string]struct {
		value string
		sent  bool
		good  bool
	}{
		"none":                      {"", false, true},
		"a UUID":                    {"6f1c7d0e-6d9e-4d2f-9a55-6d1f0d7a1c11", true, true},
		"every visible character":   {"!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~", true, true},
		"255 characters":            {strings.Repeat("k", 255), true, true},
		"256 characters":            {strings.Repeat("k", 256), true, false},
		"nothing":                   {"", true, false},
		"a space":                   {"a b", true, false},
		"a letter that is no ASCII": {"é", true, false},
		"bytes that are no text":    {"\xff", true, false},
	} {
		found := op.CheckHeaders(func(name string) (string, bool) { return tc.value, tc.sent && name == "Idempotency-Key" })
		if (len(found) == 0) != tc.good {
			t.Errorf("%s: found %v", name, found)
		}
	}
}

func TestAParameterThatNobodyKnowsIsRefusedByItsName(t *testing.T) {
	t.Parallel()
	d := parse(t)
	for raw, field := range map[string]string{
		"": "", "sort=created:asc&page=1&pageSize=5": "", "filter[]=userID:eq:usr-1": "",
		"filter%5B%5D=userID:eq:usr-1&filter%5B%5D=created:gt:1": "",
		"filter[0]=userID:eq:usr-1&filter[1]=created:gt:1":       "", "filter[][0]=userID:eq:usr-1": "",
		"filter%5B%5D%5B%5D=userID:eq:usr-1": "", "&": "",
		"filter=userID:eq:usr-1": "filter", "filters[]=userID:eq:usr-1": "filters[]", "filter[a]=userID:eq:usr-1": "filter[a]",
		"filter[0]x=1":     "filter[0]x",
		"Sort=created:asc": "Sort", "page_size=5": "page_size", "limit=5": "limit", "sort[]=created:asc": "sort[]",
		"filter[00000]=a": "filter[00000]",
		"\xff=1":          "\ufffd",
	} {
		found := d.Operation("listUsers").CheckQuery(raw)
		if (field == "") != (len(found) == 0) || len(found) > 1 || len(found) == 1 && found[0].Field != field {
			t.Errorf("%q: %v", raw, found)
		}
	}
}

func TestNoOperationTakesAParameterThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for name, document := range map[string][]byte{"Backend API": api.OpenAPI, "Frontend API": api.Frontend} {
		d, err := Parse(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range d.Operations {
			for raw, field := range map[string]string{
				"filterBy=x": "filterBy", "filters[]=x": "filters[]", "_=1764374400": "_", "=x": "", "no-such": "no-such", "page=%": "query",
			} {
				found := op.CheckQuery(raw)
				if !slices.ContainsFunc(found, func(f fault.FieldError) bool { return f.Field == field }) {
					t.Errorf("%s: %s: %q: %v", name, op.ID, raw, found)
				}
			}
			if found := op.CheckQuery(""); len(found) > 0 {
				t.Errorf("%s: %s: no query at all: %v", name, op.ID, found)
			}
		}
	}
}

func TestAListIsReadInTheOrderOfItsNumbers(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][]string{
		"filter[]=a&filter[]=b": {"a", "b"}, "filter[10]=c&filter[9]=b&filter[0]=a": {"a", "b", "c"}, "filter[][1]=b&filter[][0]=a": {"a", "b"},
		"filter[]=a&filter[0]=b": {"a", "b"},
	} {
		values, err := Query(raw)
		if err != nil || !slices.Equal(values["filter[]"], want) {
			t.Errorf("%q: %v, %v", raw, values, err)
		}
	}
}

func TestEveryPermissionIsOfOneForm(t *testing.T) {
	t.Parallel()
	d := parse(t)
	form := regexp.MustCompile(`^[a-z_]+:[a-z]+$`)
	for _, op := range d.Operations {
		public := slices.Contains([]string{"getKeys", "getAccessConfiguration"}, op.ID)
		if op.Public != public || (!op.Public && !form.MatchString(op.Permission)) {
			t.Errorf("%s: public %t, permission %q", op.ID, op.Public, op.Permission)
		}
		if wants := "read"; op.Method == "GET" && !op.Public && !strings.HasSuffix(op.Permission, wants) && op.Permission != "events:stream" {
			t.Errorf("%s: %s", op.ID, op.Permission)
		}
	}
	if all := d.Permissions(); len(all) < 20 || !slices.IsSorted(all) {
		t.Errorf("permissions are %v", all)
	}
}

func TestASchemaBeyondTheQuickCheckIsStillCheckedInFull(t *testing.T) {
	t.Parallel()
	d, err := Parse([]byte(`
paths:
  /a:
    post:
      operationId: a
      security: []
      requestBody:
        content:
          application/json:
            schema: { type: object, properties: { n: { type: number, multipleOf: 2 } }, additionalProperties: false }
`))
	if err != nil {
		t.Fatal(err)
	}
	op := d.Operation("a")
	type body struct {
		N int64 `json:"n"`
	}
	d2, err := NewDecoder(op, body{})
	if err != nil || d2.quick != nil {
		t.Errorf("read by a shape that does not know multipleOf: %v", err)
	}
	var misfit *Misfit
	if err := d2.Decode([]byte(`{"n":3}`), new(body)); !errors.As(err, &misfit) || len(misfit.Found) != 1 {
		t.Errorf("got %v", err)
	}
	var read body
	if err := d2.Decode([]byte(`{"n":2}`), &read); err != nil || read.N != 2 {
		t.Errorf("got %+v, %v", read, err)
	}
	found, err := op.CheckBody([]byte(`{"n":3}`))
	if diff := cmp.Diff([]fault.FieldError{{Field: "n", Message: "is not valid"}}, found); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestNestingIsMeasuredOutsideStrings(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{`{}`: 1, `{"a":"[[[["}`: 1, `{"a":[{"b":1}]}`: 3, `"\"[[["`: 0, `[[`: 2, `{"a":"\\"}[`: 1} {
		if got := depth([]byte(body)); got != want {
			t.Errorf("%s is %d deep, measured %d", body, want, got)
		}
	}
}

func TestAnswersThatDoNotFitAreTold(t *testing.T) {
	t.Parallel()
	op := parse(t).Operation("getUser")
	if err := op.CheckResponse("200", []byte(`{"userID":"usr-1"}`)); err == nil {
		t.Error("an answer without its required fields fits")
	}
	if err := op.CheckResponse("302", []byte(`{}`)); err == nil || !strings.Contains(fmt.Sprint(err), "302") {
		t.Errorf("an answer with an unknown status: %v", err)
	}
}

func BenchmarkBody(b *testing.B) {
	op, body := parse(b).Operation("passkeyLoginStart"), []byte(wholeLoginStart)
	decoder := decoder(b, op)
	b.Run("check and decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := decoder.Decode(body, new(rest.PasskeyLoginStartReq)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("check in full", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if found, err := op.CheckBody(body); err != nil || len(found) > 0 {
				b.Fatal(found, err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := json.Unmarshal(body, new(rest.PasskeyLoginStartReq)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestANumberThatCostsMoreThanItsBytesIsRefusedByNameWhereverItStands(t *testing.T) {
	t.Parallel()
	op := parse(t).Operation("passkeyLoginStart")
	long := strings.Repeat("1", maxNumberBytes+1)
	for _, tc := range []struct{ name, body, field string }{
		{
			"a huge exponent", `{"clientInformation":{"javaScriptHighEntropy":{"mobile":1e1000000}}}`,
			"clientInformation.javaScriptHighEntropy.mobile",
		},
		{"a huge exponent below nothing", `{"a":1E-1000000}`, "a"},
		{"an exponent beyond all numbers", `{"a":1e99999999999999999999999}`, "a"},
		{"too many digits", `{"a":` + long + `}`, "a"},
		{"too many digits behind the point", `{"a":0.` + long + `}`, "a"},
		{"in an array of a member that nobody knows", `{"a":[1,{"b":` + long + `}]}`, "a.1.b"},
		{"after a text that ends in a backslash", `{"t":"\\","a":` + long + `}`, "a"},
		{"alone", long, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := op.CheckBody([]byte(tc.body))
			var broken *NotJSON
			if !errors.As(err, &broken) || broken.Field != tc.field || !strings.Contains(broken.Reason, "a number") {
				t.Errorf("got %v in %q", err, broken)
			}
			if _, quick := quickly(t, op, []byte(tc.body)); quick {
				t.Error("the quick check takes it")
			}
		})
	}
	for _, fine := range []string{`{"a":1e99}`, `{"a":"` + long + `"}`, `{"a":"1e1000000"}`, `{"a":-1.25E-9}`, `{"1e1000000":1}`} {
		if err := checkNumbers([]byte(fine)); err != nil {
			t.Errorf("%s: %v", fine, err)
		}
	}
}
