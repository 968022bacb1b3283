// Package backedup says what is another than before of a passkey that may be backed up. It is pure.
package backedup

import (
	"encoding/json"
	"fmt"
)

// Change says what is another than before of whether a passkey is backed up.
type Change string

// The values of Change. That a passkey can be backed up or cannot is another is no login: see facts.Alerts.
const (
	Same  Change = "none"
	State Change = "state" // it is backed up and was not, or the other way round
)

// UnmarshalJSON implements json.Unmarshaler. Records of before say yes or no.
func (c *Change) UnmarshalJSON(raw []byte) error {
	switch string(raw) {
	case "true":
		*c = State
	case "false":
		*c = Same
	default:
		var word string
		if err := json.Unmarshal(raw, &word); err != nil {
			return fmt.Errorf("decode backupChanged: %w", err)
		}
		*c = Change(word)
	}
	return nil
}
