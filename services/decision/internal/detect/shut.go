package detect

import (
	"strings"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

// Shut is something that keeps the way to a phone closed.
type Shut string

// What keeps the way to a phone closed. What comes with the strategy ends with another; the client's own does not.
const (
	ShutMinimize         Shut = "minimize"
	ShutBluetoothOff     Shut = "bluetooth-off"
	ShutNoHybrid         Shut = "no-hybrid"
	ShutBluetoothUnknown Shut = "bluetooth-unknown"
	ShutKindOfClient     Shut = "kind-of-client"
	ShutPhone            Shut = "phone-under-standard"
	ShutDevice           Shut = "no-computer-under-standard"
	ShutUnseen           Shut = "unseen-under-standard"
)

// shut says what keeps a passkey from being used from a phone that may hold it: nothing exactly where the way is open to it.
func (d *Detection) shut(p *passkey, minimum *recognition.MinimumVersions) []Shut {
	if p.byPhone.value == none || p.availability == SecurityKey {
		return nil
	}
	c := &d.Client
	minimize := d.Facts.Strategy == string(rest.CrossDeviceAuthenticationStrategyMinimize)
	maximize := d.Facts.Strategy == string(rest.CrossDeviceAuthenticationStrategyMaximize) ||
		(d.Facts.Source == event.OtherDevice && !minimize)
	silent := c.BLE == recognition.Unknown && c.Hybrid == recognition.Unknown
	var all []Shut
	for _, one := range [...]struct {
		by    Shut
		stops bool
	}{
		{ShutMinimize, minimize},
		{ShutBluetoothOff, c.BLE == recognition.No},
		{ShutNoHybrid, c.Hybrid == recognition.No},
		{ShutBluetoothUnknown, silent && !maximize},
		{ShutKindOfClient, c.Hybrid != recognition.Yes && withoutPhones(c, minimum)},
		{ShutPhone, c.Mobile && !c.Desktop && !maximize},
		{ShutDevice, !c.Mobile && !c.Desktop && !maximize},
		{ShutUnseen, p.byPhone.value == low && !maximize},
	} {
		if one.stops {
			all = append(all, one.by)
		}
	}
	return all
}

// sayShut puts into words what keeps the way to a phone closed.
func sayShut(all []Shut) string {
	said := make([]string, len(all))
	for i, one := range all {
		said[i] = one.say()
	}
	return strings.Join(said, ", and ")
}

func (s Shut) say() string {
	switch s {
	case ShutMinimize:
		return "the caller keeps other devices to a minimum (strategy minimize)"
	case ShutBluetoothOff:
		return "Bluetooth is off"
	case ShutNoHybrid:
		return "the client says that it reaches no phones"
	case ShutBluetoothUnknown:
		return "the client says neither that Bluetooth is on nor that it reaches phones"
	case ShutKindOfClient:
		return "clients of its kind reach no phones"
	case ShutPhone:
		return "a phone or tablet is not sent to another one (but by strategy maximize)"
	case ShutDevice:
		return "only computers are sent to a phone (but by strategy maximize)"
	default:
		return "a passkey that was not seen on a phone is not looked for there (but by strategy maximize)"
	}
}
