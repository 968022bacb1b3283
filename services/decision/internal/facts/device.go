package facts

import (
	"slices"

	"github.com/keyward/keyward/services/decision/internal/vocabulary"
)

// Device is the class of a device.
type Device string

// The classes of devices. Scripts are HTTP libraries, which are often apps or back ends that do not say so.
const (
	DevicePhone    Device = "phone"
	DeviceTablet   Device = "tablet"
	DeviceDesktop  Device = "desktop"
	DeviceTV       Device = "tv"
	DeviceConsole  Device = "console"
	DeviceHeadset  Device = "headset"
	DeviceBot      Device = "bot"
	DeviceHeadless Device = "headless"
	DeviceScript   Device = "script"
	DeviceUnknown  Device = "unknown"
)

var devices = [...]Device{
	DevicePhone, DeviceTablet, DeviceDesktop, DeviceTV, DeviceConsole, DeviceHeadset, DeviceBot, DeviceHeadless, DeviceScript, DeviceUnknown,
}

// Known reports whether d is one of the classes.
func (d Device) Known() bool { return slices.Contains(devices[:], d) }

// KnownDevices returns the names of all classes, for complaints.
func KnownDevices() string { return vocabulary.Listed(devices[:]) }
