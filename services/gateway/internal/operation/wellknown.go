package operation

import (
	"slices"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/origin"
	"github.com/keyward/keyward/core/project"
)

// appleAppSiteAssociation is the document of that name: the apps that share the project's passkeys.
func appleAppSiteAssociation(f project.Frontend) frontend.AppleAppSiteAssociation {
	var document frontend.AppleAppSiteAssociation
	document.Webcredentials.Apps = append([]string{}, f.AppleApps...)
	return document
}

// assetLinks are the Digital Asset Links of the Android apps that share the project's passkeys.
func assetLinks(f project.Frontend) []frontend.AssetLink {
	links := []frontend.AssetLink{}
	for _, app := range f.AndroidApps {
		link := frontend.AssetLink{Relation: []string{"delegate_permission/common.handle_all_urls", "delegate_permission/common.get_login_creds"}}
		link.Target.Namespace, link.Target.PackageName, link.Target.Sha256CertFingerprints = "android_app", app.Package, app.Fingerprints
		links = append(links, link)
	}
	return links
}

// passkeyEndpoints are the pages where users create and manage passkeys.
func passkeyEndpoints(f project.Frontend) frontend.PasskeyEndpoints {
	var pages frontend.PasskeyEndpoints
	if f.EnrollURL != "" {
		pages.Enroll = &f.EnrollURL
	}
	if f.ManageURL != "" {
		pages.Manage = &f.ManageURL
	}
	return pages
}

// relatedOrigins are the web origins that may use the project's RP ID (W3C WebAuthn Level 3 §5.11). Those that need the document come
// first: browsers look at a few registrable labels, and those on the RP ID never look.
func relatedOrigins(p project.Project) frontend.RelatedOrigins {
	origins := slices.DeleteFunc(append(p.Related(), p.Own()...), func(o string) bool { return !origin.Web(o) })
	return frontend.RelatedOrigins{Origins: origins}
}
