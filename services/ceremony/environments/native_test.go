package environments_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/environments"
)

func TestAllThatAnAppSaysOfItselfArrives(t *testing.T) {
	t.Parallel()
	const said = `{"platform":"iOS","platformVersion":"18.1","displayName":"Example","name":"com.example.app","version":"7","build":"70",` +
		`"deviceOwnerAuth":"telepathy","isBluetoothAvailable":true,"isBluetoothOn":true,"isGooglePlayServices":true,"isDeviceSecure":true,` +
		`"isConditionalCreateSupported":true,"brand":"apple","model":"iPhone16,2","locale":"en_GB",` +
		`"screen":{"widthPoints":390,"heightPoints":844,"scale":3},"sdkInitTimeMs":1764460800000,"error":"none"}`
	var native frontend.NativeMeta
	if err := json.Unmarshal([]byte(said), &native); err != nil {
		t.Fatal(err)
	}
	client := environments.ClientOf(service.Visit{}, frontend.ClientInformation{NativeMeta: &native})
	members := func(value any) []string {
		raw, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		if err := json.Unmarshal(raw, &object); err != nil {
			t.Fatal(err)
		}
		// The Backend API has names of its own for two of them.
		for name, other := range map[string]string{"googlePlayServices": "isGooglePlayServices", "deviceSecure": "isDeviceSecure"} {
			if value, ok := object[name]; ok {
				delete(object, name)
				object[other] = value
			}
		}
		return slices.Sorted(maps.Keys(object))
	}
	if diff := cmp.Diff(members(native), members(client.NativeMeta)); diff != "" {
		t.Errorf("(-said +arrived)\n%s", diff)
	}
}
