// Package istio checks, with Istio's own code, that sidecars load what lazymesh pushes: its image fetcher, and the cache
// that pilot-agent keeps modules in. Registry and command are the real ones.
package istio

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"istio.io/istio/pkg/wasm"
)

var variants = []string{"wasm", "compat"}

// What Istio makes of a reference: the digest it saw, and the module.
type fetched struct {
	digest string
	module []byte
}

func fetch(reference string) (fetched, error) {
	fetcher := wasm.NewImageFetcher(context.Background(), wasm.ImageFetcherOption{Insecure: true})
	get, digest, err := fetcher.PrepareFetch(reference)
	if err != nil {
		return fetched{}, err
	}
	module, err := get()
	return fetched{"sha256:" + digest, module}, err
}

// fromCache gets a module as a WasmPlugin with this url and sha256 would.
func fromCache(t *testing.T, url, sha256 string) ([]byte, error) {
	cache := wasm.NewLocalFileCache(t.TempDir(), wasm.Options{})
	path, err := cache.Get(url, wasm.GetOptions{RequestTimeout: 30 * time.Second, Checksum: sha256})
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func TestIstioFetchesWhatWePush(t *testing.T) {
	for _, variant := range variants {
		t.Run(variant, func(t *testing.T) {
			registry := startRegistry(t)
			module := newModule(5000, 7)
			pushed := registry.push(t, module, "1.2.3", "--variant", variant)
			seen, err := fetch(pushed.Reference)
			if err != nil {
				t.Fatal(err)
			}
			if seen.digest != pushed.Digest {
				t.Errorf("Istio saw %s, we pushed %s", seen.digest, pushed.Digest)
			}
			same(t, seen.module, module)
		})
	}
}

func TestSidecarsLoadWhatWePush(t *testing.T) {
	for _, variant := range variants {
		t.Run(variant, func(t *testing.T) {
			registry := startRegistry(t)
			module := newModule(5000, 7)
			pushed := registry.push(t, module, "1.2.3", "--variant", variant)
			tagged := "oci://" + pushed.Reference
			pin := strings.TrimPrefix(pushed.Digest, "sha256:")
			for _, plugin := range []struct{ url, sha256 string }{
				{tagged, ""}, {tagged, pin}, {pushed.URL, ""}, {pushed.URL, pin},
			} {
				loaded, err := fromCache(t, plugin.url, plugin.sha256)
				if err != nil {
					t.Fatalf("%+v: %v", plugin, err)
				}
				same(t, loaded, module)
			}
		})
	}
}

func TestSidecarsRefuseAnotherDigest(t *testing.T) {
	for _, variant := range variants {
		t.Run(variant, func(t *testing.T) {
			registry := startRegistry(t)
			pushed := registry.push(t, newModule(5000, 7), "1.2.3", "--variant", variant)
			_, err := fromCache(t, "oci://"+pushed.Reference, strings.Repeat("0", 64))
			refused(t, err, "which does not match")
		})
	}
}

func TestIstioRefusesATamperedModule(t *testing.T) {
	registry := startRegistry(t)
	module := newModule(5000, 7)
	pushed := registry.push(t, module, "1.2.3")
	sum := sha256.Sum256(module)
	registry.replace(t, hex.EncodeToString(sum[:]), newModule(5000, 8))
	_, err := fetch(pushed.Reference)
	refused(t, err, "error verifying sha256 checksum")
	_, err = fromCache(t, pushed.URL, "")
	refused(t, err, "error verifying sha256 checksum")
}

func TestIstioRefusesATamperedManifest(t *testing.T) {
	for _, variant := range variants {
		t.Run(variant, func(t *testing.T) {
			registry := startRegistry(t)
			pushed := registry.push(t, newModule(5000, 7), "1.2.3", "--variant", variant)
			other := registry.push(t, newModule(5000, 8), "other", "--variant", variant)
			hex := func(digest string) string { return strings.TrimPrefix(digest, "sha256:") }
			registry.replace(t, hex(pushed.Digest), registry.read(t, hex(other.Digest)))
			_, err := fromCache(t, pushed.URL, "")
			refused(t, err, "manifest digest")
			_, err = fromCache(t, "oci://"+pushed.Reference, hex(pushed.Digest))
			refused(t, err, "which does not match")
		})
	}
}

// Istio reads an archive up to the module's last byte and no further, so it never gets to compare the layer's digest. When
// this fails, Istio has mended it, and nobody need be warned of --variant compat any more.
func TestIstioDoesNotNoticeAnotherArchive(t *testing.T) {
	registry := startRegistry(t)
	pushed := registry.push(t, newModule(5000, 7), "1.2.3", "--variant", "compat")
	// As long as the other, packed and unpacked.
	changed := newModule(5000, 8)
	other := registry.push(t, changed, "other", "--variant", "compat")
	registry.replace(t, registry.layer(t, pushed), registry.read(t, registry.layer(t, other)))
	seen, err := fetch(pushed.Reference)
	if err != nil {
		t.Fatal(err)
	}
	same(t, seen.module, changed)
}

func same(t *testing.T, got, want []byte) {
	t.Helper()
	if string(got) != string(want) {
		t.Errorf("another module: %d bytes instead of %d", len(got), len(want))
	}
}

func refused(t *testing.T, err error, reason string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), reason) {
		t.Errorf("want %q, got %v", reason, err)
	}
}
