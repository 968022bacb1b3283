package bundlefile

import (
	"encoding/json"
	"path"
	"strings"
)

// ProvidersFile may hold the table of passkey providers, which is long and comes from elsewhere, apart from a bundle's other data:
// {"keyward": {"aaguids": {…}}}. Bundles from before it have the table in data.json.
const ProvidersFile = "aaguids.json"

const (
	spaceKey = "keyward"
	tableKey = "aaguids"
)

const (
	adviseProviders      = `write {"keyward": {"aaguids": {…}}}, and all else into data.json`
	adviseProvidersTwice = "keep one of them"
)

// CheckProviders refuses a table that is there twice, and a file for it that holds something else. A file of that name beside a bundle that
// has its table in data.json is none of the bundle's if it is of another form, as a published list is.
func (f Files) CheckProviders() error {
	content, ok := f[ProvidersFile]
	if !ok {
		return nil
	}
	elsewhere := f.providersElsewhere()
	switch table, alone := providersIn(content); {
	case table != nil && elsewhere != "":
		line := Locate(content, []string{spaceKey, tableKey})
		return &Error{File: ProvidersFile, Line: line, Message: "keyward.aaguids is in " + elsewhere + " too", Advice: adviseProvidersTwice}
	case elsewhere == "" && (table == nil || !alone):
		return &Error{File: ProvidersFile, Line: 1, Message: "keyward.aaguids is not all that it holds", Advice: adviseProviders}
	default:
		return nil
	}
}

// providersIn returns the table in the content of a ProvidersFile, nil if there is none, and whether it holds nothing else.
func providersIn(content []byte) (table json.RawMessage, alone bool) {
	var whole, space map[string]json.RawMessage
	if json.Unmarshal(content, &whole) != nil || json.Unmarshal(whole[spaceKey], &space) != nil {
		return nil, false
	}
	return space[tableKey], len(whole) == 1 && len(space) == 1
}

// providersElsewhere returns the other file that has the table, empty if none has.
func (f Files) providersElsewhere() string {
	if _, ok := f[spaceKey+"/"+tableKey+"/data.json"]; ok {
		return spaceKey + "/" + tableKey + "/data.json"
	}
	var space map[string]json.RawMessage
	if name := spaceKey + "/data.json"; json.Unmarshal(f[name], &space) == nil && space[tableKey] != nil {
		return name
	}
	if table, _ := providersIn(f["data.json"]); table != nil {
		return "data.json"
	}
	return ""
}

// HasProviders reports whether the table is there, in whichever file.
func (f Files) HasProviders() bool { return f[ProvidersFile] != nil || f.providersElsewhere() != "" }

// ForOPA returns the files that OPA reads, by the names under which it reads them. Its manifest says the revision.
func (f Files) ForOPA(revision string) Files {
	read := Files{}
	for _, name := range f.Names() {
		if strings.HasPrefix(name, schemaDir) || path.Base(name) == SignaturesFile { // those are of the files as they were
			continue
		}
		if as, content, ok := f.forOPA(name); ok {
			read[as] = content
		}
	}
	read[ManifestFile] = manifest(f[ManifestFile], revision)
	return read
}

// manifest returns a manifest with the revision. One that OPA could not read stays as it is.
func manifest(written []byte, revision string) []byte {
	said := map[string]any{"rego_version": 1}
	if written != nil && json.Unmarshal(written, &said) != nil {
		return written
	}
	said["revision"] = revision
	changed, err := json.Marshal(said)
	if err != nil {
		return written
	}
	return changed
}

// forOPA returns under which name and with which content OPA reads a file: it knows no data but that of files called data.json. It is false
// for what is none of the bundle's.
func (f Files) forOPA(name string) (as string, content []byte, ok bool) {
	if name != ProvidersFile {
		return name, f[name], true
	}
	table, _ := providersIn(f[name])
	return spaceKey + "/" + tableKey + "/data.json", table, table != nil
}
