package ceremony

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// AAGUIDNames is an AAGUIDs in memory: names by AAGUID in lower-case UUID form.
type AAGUIDNames map[string]string

// Name implements AAGUIDs.
func (n AAGUIDNames) Name(aaguid string) string { return n[aaguid] }

// LoadAAGUIDNames reads the names that a policy bundle gives to authenticators: keyward.aaguids.<AAGUID>.name in the data.json at its root. A bundle
// without such a file or table has no names; one that is not JSON is an error.
func LoadAAGUIDNames(bundle fs.FS) (AAGUIDNames, error) {
	raw, err := fs.ReadFile(bundle, "data.json")
	if errors.Is(err, fs.ErrNotExist) {
		return AAGUIDNames{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read AAGUID names: %w", err)
	}
	var data struct {
		Keyward struct {
			AAGUIDs map[string]struct {
				Name string `json:"name"`
			} `json:"aaguids"`
		} `json:"keyward"`
	}
	if err := json.Unmarshal(raw, &data); err != nil {
		return nil, fmt.Errorf("read AAGUID names: %w", err)
	}
	names := make(AAGUIDNames, len(data.Keyward.AAGUIDs))
	for aaguid, entry := range data.Keyward.AAGUIDs {
		names[strings.ToLower(aaguid)] = entry.Name
	}
	return names, nil
}
