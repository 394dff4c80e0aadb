// Command wasm-fetch fetches the module of an OCI artifact as Istio's pilot-agent does, with its very code: by the image
// fetcher, and by the cache that sidecars load from. It prints the digests of what it got, one a line.
package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"time"

	"istio.io/istio/pkg/wasm"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: wasm-fetch HOST/NAME:TAG [DIGEST]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(reference string, pin []string) error {
	fetcher := wasm.NewImageFetcher(context.Background(), wasm.ImageFetcherOption{Insecure: true})
	fetch, digest, err := fetcher.PrepareFetch(reference)
	if err != nil {
		return fmt.Errorf("fetcher: %w", err)
	}
	module, err := fetch()
	if err != nil {
		return fmt.Errorf("fetcher: %w", err)
	}
	cached, err := fromCache(reference, pin)
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	fmt.Printf("sha256:%s\nsha256:%x\nsha256:%x\n", digest, sha256.Sum256(module), sha256.Sum256(cached))
	return nil
}

func fromCache(reference string, pin []string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "wasm-fetch")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	options := wasm.GetOptions{RequestTimeout: 30 * time.Second}
	if len(pin) > 0 {
		options.Checksum = pin[0]
	}
	path, err := wasm.NewLocalFileCache(dir, wasm.Options{}).Get("oci://"+reference, options)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
