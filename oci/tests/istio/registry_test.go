package istio

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Debian's docker-registry, with its storage in reach.
type registry struct {
	address string
	folder  string
}

func startRegistry(t *testing.T) registry {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	it := registry{listener.Addr().String(), t.TempDir()}
	listener.Close()
	configuration := filepath.Join(it.folder, "config.yml")
	check(t, os.WriteFile(configuration, []byte(fmt.Sprintf(
		"version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"+
			"storage: {filesystem: {rootdirectory: %s/data}}\nhttp: {addr: %s}\n", it.folder, it.address)), 0o600))
	process := exec.Command("docker-registry", "serve", configuration)
	check(t, process.Start())
	t.Cleanup(func() {
		process.Process.Kill()
		process.Wait()
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		connection, err := net.Dial("tcp", it.address)
		if err == nil {
			connection.Close()
			return it
		}
		if time.Now().After(deadline) {
			t.Fatal("docker-registry does not start: ", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// What `lazymesh push` says.
type pushed struct {
	Reference string
	Digest    string
	URL       string
}

func (r registry) push(t *testing.T, module []byte, tag string, more ...string) pushed {
	t.Helper()
	folder := t.TempDir()
	check(t, os.WriteFile(filepath.Join(folder, "filter.wasm"), module, 0o600))
	target := r.address + "/lazymesh/filter:" + tag
	push := exec.Command(lazymesh(t), append([]string{"push", target, "--insecure", "-o", "json"}, more...)...)
	push.Dir = folder
	push.Stderr = os.Stderr
	answer, err := push.Output()
	check(t, err)
	var it pushed
	check(t, json.Unmarshal(answer, &it))
	return it
}

// The command that is tested.
func lazymesh(t *testing.T) string {
	t.Helper()
	command := os.Getenv("LAZYMESH_BIN")
	if command == "" {
		t.Fatal("LAZYMESH_BIN: run `cargo xtask test`, or set it to a `lazymesh` binary")
	}
	return command
}

// The hex digest of the last layer of an artifact.
func (r registry) layer(t *testing.T, it pushed) string {
	t.Helper()
	var manifest struct{ Layers []struct{ Digest string } }
	check(t, json.Unmarshal(r.read(t, strings.TrimPrefix(it.Digest, "sha256:")), &manifest))
	return strings.TrimPrefix(manifest.Layers[len(manifest.Layers)-1].Digest, "sha256:")
}

func (r registry) path(hex string) string {
	return filepath.Join(r.folder, "data/docker/registry/v2/blobs/sha256", hex[:2], hex, "data")
}

func (r registry) read(t *testing.T, hex string) []byte {
	t.Helper()
	content, err := os.ReadFile(r.path(hex))
	check(t, err)
	return content
}

// Puts other bytes in the place of a blob or manifest, behind the registry's back.
func (r registry) replace(t *testing.T, hex string, content []byte) {
	t.Helper()
	check(t, os.WriteFile(r.path(hex), content, 0o600))
}

// The smallest module, with a custom section of size bytes.
func newModule(size int, fill byte) []byte {
	module := append([]byte("\x00asm\x01\x00\x00\x00"), 0)
	module = binary.AppendUvarint(module, uint64(size+2))
	module = append(module, "\x01x"...)
	return append(module, bytes.Repeat([]byte{fill}, size)...)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
