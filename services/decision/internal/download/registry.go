package download

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/open-policy-agent/opa/v1/plugins/rest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// registry is a registry of images, as OCI defines it. A bundle is a layer of one.
type registry struct {
	repository *remote.Repository
	reference  string
}

func newRegistry(settings map[string]any, u *url.URL) (*registry, error) {
	made, err := client(settings, answerTimeout)
	if err != nil {
		return nil, err
	}
	plugin, err := made.Config().AuthPlugin(nil)
	if err != nil {
		return nil, err
	}
	caller, err := plugin.NewClient(*made.Config())
	if err != nil {
		return nil, err
	}
	repository, err := remote.NewRepository(u.Host + "/" + strings.Trim(u.Path, "/"))
	if err != nil {
		return nil, err
	}
	if repository.Reference.Reference == "" {
		return nil, errors.New("policy_source: needs a tag or a digest: oci://registry/repository:tag")
	}
	repository.PlainHTTP = loopback(u.Hostname())
	repository.Client = &auth.Client{
		Client: &http.Client{Transport: &credentials{base: caller.Transport, plugin: plugin}}, Cache: auth.NewCache(),
	}
	return &registry{repository: repository, reference: repository.Reference.Reference}, nil
}

// credentials adds what OPA's configuration says, unless the registry has given a token of its own.
type credentials struct {
	base   http.RoundTripper
	plugin rest.HTTPAuthPlugin
}

// RoundTrip implements http.RoundTripper.
func (c *credentials) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") == "" {
		r = r.Clone(r.Context())
		if err := c.plugin.Prepare(r); err != nil {
			return nil, err
		}
	}
	if c.base == nil {
		return http.DefaultTransport.RoundTrip(r)
	}
	return c.base.RoundTrip(r)
}

const (
	maxManifest = 4 << 20
	maxNested   = 4  // indexes of indexes
	maxListed   = 32 // manifests that are looked at
)

func (r *registry) get(ctx context.Context, known state) (fetched, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout+bodyTimeout)
	defer cancel()
	found, err := r.repository.Resolve(ctx, r.reference)
	if err != nil {
		return fetched{}, err
	}
	tag := found.Digest.String()
	if tag == known.tag {
		return fetched{state: known}, nil
	}
	looked := 0
	layer, err := r.layer(ctx, found, maxNested, &looked)
	switch {
	case err != nil:
		return fetched{}, err
	case layer.Size > maxArchive:
		return fetched{}, errTooLarge
	}
	raw, err := content.FetchAll(ctx, r.repository.Blobs(), layer) // which is held against size and digest
	if err != nil {
		return fetched{}, err
	}
	return fetched{raw: raw, state: state{tag: tag}}, nil
}

// layer finds the layer that is a bundle in a manifest, or in those of an index.
func (r *registry) layer(ctx context.Context, of ocispec.Descriptor, depth int, looked *int) (ocispec.Descriptor, error) {
	if *looked++; depth == 0 || *looked > maxListed || of.Size > maxManifest {
		return ocispec.Descriptor{}, errNoLayer
	}
	raw, err := content.FetchAll(ctx, r.repository.Manifests(), of)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	var manifest struct {
		Layers    []ocispec.Descriptor `json:"layers"`
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("manifest %s: %w", of.Digest, err)
	}
	for _, layer := range manifest.Layers {
		if layer.MediaType == ocispec.MediaTypeImageLayerGzip {
			return layer, nil
		}
	}
	for _, below := range manifest.Manifests {
		layer, err := r.layer(ctx, below, depth-1, looked)
		if !errors.Is(err, errNoLayer) {
			return layer, err
		}
	}
	return ocispec.Descriptor{}, errNoLayer
}

var errNoLayer = errors.New("the image has no layer of the type " + ocispec.MediaTypeImageLayerGzip)
