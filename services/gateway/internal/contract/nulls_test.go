package contract

import (
	"reflect"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	wire "github.com/keyward/keyward/api/frontend"
)

func TestNullIsAbsentWhereTheContractSaysSoAndNowhereElse(t *testing.T) {
	t.Parallel()
	d, err := Frontend()
	if err != nil {
		t.Fatal(err)
	}
	start, list := wire.PasskeyLoginStartReq{}, wire.ConnectInitReq{}
	for name, c := range map[string]struct {
		operation   string
		body, alike string
		into        any
		quick       bool
	}{
		"a member": {"passkeyLoginStart", `{"source":null}`, `{}`, start, true},
		"a member within": {
			"passkeyLoginStart", `{"clientInformation":{"webdriver":null,"nativeMeta":{"screen":{"scale":null},"brand":null,"platform":"iOS"}}}`,
			`{"clientInformation":{"nativeMeta":{"screen":{},"platform":"iOS"}}}`, start, true,
		},
		"an object": {"passkeyLoginStart", `{"clientInformation":null}`, `{}`, start, true},
		"a body that is checked in full": {
			"connectLoginInit",
			`{"flags":{"a":"b"},"situation":null,"clientInformation":{"isNative":null,"clientCapabilities":{"hybridTransport":null}}}`,
			`{"flags":{"a":"b"},"clientInformation":{"clientCapabilities":{}}}`, list, false,
		},
		"what must be there":            {"connectLoginInit", `{"flags":null,"clientInformation":{}}`, "", list, false},
		"a value of a map":              {"connectLoginInit", `{"flags":{"a":null},"clientInformation":{}}`, "", list, false},
		"a member of another operation": {"loginInit", `{"identifierValue":null,"isPhone":false}`, "", wire.LoginInitReq{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decoder, err := NewDecoder(d.Operation(c.operation), c.into)
			if err != nil {
				t.Fatal(err)
			}
			got, want := reflect.New(reflect.TypeOf(c.into)), reflect.New(reflect.TypeOf(c.into))
			if err := decoder.Decode([]byte(c.body), got.Interface()); (err == nil) != (c.alike != "") {
				t.Fatalf("decoded: %v", err)
			}
			if c.alike == "" {
				return
			}
			if err := json.Unmarshal([]byte(c.alike), want.Interface()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.Interface(), got.Interface()); diff != "" {
				t.Errorf("it was read as something else: %s", diff)
			}
			if found, err := d.Operation(c.operation).CheckBody([]byte(c.body)); err != nil || len(found) > 0 {
				t.Errorf("checked in full: %v %v", found, err)
			}
			if quick := decoder.quickly([]byte(c.body), reflect.New(reflect.TypeOf(c.into)).Elem()); quick != c.quick {
				t.Errorf("taken in one pass: %v", quick)
			}
		})
	}
}
