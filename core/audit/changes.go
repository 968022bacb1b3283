package audit

import (
	"reflect"
	"slices"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/project"
)

// Changes returns what one version of a project differs from another in; nil is no project. What nobody decided, such as salts that a new
// version of Keyward keeps elsewhere, is no change.
func Changes(before, after *project.Project) []Event {
	switch {
	case before == nil && after == nil:
		return nil
	case before == nil:
		return []Event{{Type: ProjectCreated, Project: after.ID}}
	case after == nil:
		return []Event{{Type: ProjectDeleted, Project: before.ID}}
	}
	var told []Event
	if names := differing(before, after); len(names) > 0 {
		told = append(told, Event{Type: ProjectUpdated, Project: after.ID, Changed: names})
	}
	if !reflect.DeepEqual(before.Secret, after.Secret) {
		told = append(told, Event{Type: SecretRotated, Project: after.ID})
	}
	if before.SightingVersion != after.SightingVersion {
		told = append(told, Event{Type: RiskKeyRotated, Project: after.ID, Version: after.SightingVersion.Number})
	}
	told = append(told, keys(KeyCreated, after.ID, after.Keys, before.Keys)...)
	told = append(told, keys(KeyRevoked, after.ID, before.Keys, after.Keys)...)
	told = append(told, issuers(IssuerAdded, after.ID, after.Issuers, before.Issuers)...)
	return append(told, issuers(IssuerRemoved, after.ID, before.Issuers, after.Issuers)...)
}

// differing names the members that are different, as the API and the commands call them.
func differing(before, after *project.Project) []string {
	pages, was := after.Frontend, before.Frontend
	pages.Hosts, was.Hosts = nil, nil
	var names []string
	for _, member := range []struct {
		name string
		same bool
	}{
		{"name", before.Name == after.Name},
		{"rpID", before.RPID == after.RPID},
		{"rpName", before.RPName == after.RPName},
		{"origins", slices.Equal(before.Origins, after.Origins)},
		{"hosts", slices.Equal(before.Frontend.Hosts, after.Frontend.Hosts)},
		{"cname", before.CNAME == after.CNAME},
		{"userVerification", before.UserVerification == after.UserVerification},
		{"frontend", reflect.DeepEqual(was, pages)},
	} {
		if !member.same {
			names = append(names, member.name)
		}
	}
	return names
}

// keys tells of the API keys that are in one list and not in the other.
func keys(kind Type, of ident.ProjectID, in, notIn []project.APIKey) []Event {
	var told []Event
	for _, k := range in {
		if !slices.ContainsFunc(notIn, func(other project.APIKey) bool { return other.ID == k.ID }) {
			shown := Key{ID: k.ID, Name: k.Name, Permissions: slices.Clone(k.Permissions)}
			told = append(told, Event{Type: kind, Project: of, Key: &shown})
		}
	}
	return told
}

// issuers tells of the issuers that are in one list and not, read in the same way, in the other.
func issuers(kind Type, of ident.ProjectID, in, notIn []project.Issuer) []Event {
	var told []Event
	for _, i := range in {
		if !slices.ContainsFunc(notIn, func(other project.Issuer) bool { return reflect.DeepEqual(other, i) }) {
			told = append(told, Event{Type: kind, Project: of, Issuer: &Issuer{URL: i.URL, Audience: i.Audience}})
		}
	}
	return told
}

// OperatorChanges returns what became of an operator; nil is no operator.
func OperatorChanges(before, after *operator.Operator) []Event {
	switch {
	case before == nil && after != nil && after.Session != nil:
		return []Event{{
			Type: OperatorSignedIn, Operator: &OperatorAccount{ID: after.Session.Of, Name: after.Name, Role: string(after.Role)},
			Credential: after.Session.Passkey,
		}}
	case before == nil && after != nil:
		return []Event{{Type: OperatorCreated, Operator: shownOperator(after)}}
	case before != nil && after == nil:
		e := Event{Type: OperatorRevoked, Operator: shownOperator(before)}
		if before.Forced {
			e.Reason = "forced: whether an admin is left was not looked at"
		}
		return []Event{e}
	case before == nil:
		return nil
	}
	return slices.Concat(
		passkeys(OperatorPasskeyAdded, after, after.Passkeys, before.Passkeys),
		passkeys(OperatorPasskeyRemoved, after, before.Passkeys, after.Passkeys),
		passkeys(OperatorPasskeyCopied, after, copied(after.Passkeys), copied(before.Passkeys)),
	)
}

// passkeys tells of the passkeys that are in one list and not in the other.
func passkeys(kind Type, of *operator.Operator, in, notIn []operator.Passkey) []Event {
	var told []Event
	for _, p := range in {
		if !slices.ContainsFunc(notIn, func(other operator.Passkey) bool { return other.ID == p.ID }) {
			told = append(told, Event{Type: kind, Operator: shownOperator(of), Credential: p.ID})
		}
	}
	return told
}

// copied are those whose counter went back.
func copied(all []operator.Passkey) []operator.Passkey {
	return slices.DeleteFunc(slices.Clone(all), func(p operator.Passkey) bool { return p.CopiedMs == 0 })
}

func shownOperator(o *operator.Operator) *OperatorAccount {
	return &OperatorAccount{ID: o.ID, Name: o.Name, Role: string(o.Role), Projects: o.Projects}
}
