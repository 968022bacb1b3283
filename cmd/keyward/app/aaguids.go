package app

import (
	"encoding/json"
	"fmt"

	"github.com/keyward/keyward/policies"
)

// aaguids names the makers of passkeys, as the embedded bundle knows them.
type aaguids map[string]string

func loadAAGUIDs() (aaguids, error) {
	raw, err := policies.Bundle.ReadFile("data.json")
	if err != nil {
		return nil, fmt.Errorf("read the names of authenticators: %w", err)
	}
	var data struct {
		Keyward struct {
			AAGUIDs map[string]struct {
				Name string `json:"name"`
			} `json:"aaguids"`
		} `json:"keyward"`
	}
	if err := json.Unmarshal(raw, &data); err != nil {
		return nil, fmt.Errorf("read the names of authenticators: %w", err)
	}
	names := aaguids{}
	for id, entry := range data.Keyward.AAGUIDs {
		names[id] = entry.Name
	}
	return names, nil
}

// Name implements ceremony.AAGUIDs.
func (a aaguids) Name(aaguid string) string { return a[aaguid] }
