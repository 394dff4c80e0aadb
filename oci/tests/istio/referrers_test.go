package istio

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
)

// Debian's registry has no referrers API; the one of the library that Istio fetches with has.
func TestAReferrersAPIIsUsed(t *testing.T) {
	server := httptest.NewServer(ggcr.New(ggcr.WithReferrersSupport(true)))
	t.Cleanup(server.Close)
	it := registry{address: server.Listener.Addr().String()}
	pushed := it.push(t, newModule(100, 7), "1.2.3",
		"--source", "https://example.com/lazymesh", "--revision", strings.Repeat("0", 40))

	var list struct {
		Manifests []struct{ Digest string }
	}
	get(t, server.URL+"/v2/lazymesh/filter/referrers/"+pushed.Digest, &list)
	// With a wrong kind: this registry takes that of the config. So `verify` must look for itself.
	if len(list.Manifests) != 1 {
		t.Errorf("the registry lists %+v", list.Manifests)
	}
	var tags struct{ Tags []string }
	get(t, server.URL+"/v2/lazymesh/filter/tags/list", &tags)
	// No tag that stands in for the API. This registry counts digests among its tags.
	if slices.ContainsFunc(tags.Tags, func(tag string) bool { return strings.HasPrefix(tag, "sha256-") }) {
		t.Errorf("there are the tags %v", tags.Tags)
	}
	verify := exec.Command(lazymesh(t), "verify", pushed.Reference, "--insecure", "--provenance")
	if said, err := verify.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
}

func get(t *testing.T, url string, answer any) {
	t.Helper()
	response, err := http.Get(url)
	check(t, err)
	defer response.Body.Close()
	check(t, json.NewDecoder(response.Body).Decode(answer))
}
