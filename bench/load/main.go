// Command load asks for a URL at a fixed rate, whether earlier answers have come
// or not, and prints p50 and p99 in microseconds, counted from when a request was
// due, so that a server which stands still cannot hide it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"sync"
	"time"
)

func main() {
	url := flag.String("url", "", "what to ask for")
	token := flag.String("token", "", "a bearer token")
	rate := flag.Int("rate", 300, "requests per second")
	long := flag.Duration("for", 5*time.Second, "how long")
	flag.Parse()
	ctx := context.Background()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}, Timeout: 30 * time.Second}
	took := make([]time.Duration, int(long.Seconds()*float64(*rate)))
	var wg sync.WaitGroup
	begun := time.Now()
	for i := range took {
		due := begun.Add(time.Duration(i) * time.Second / time.Duration(*rate))
		time.Sleep(time.Until(due))
		wg.Go(func() {
			if err := ask(ctx, client, *url, *token); err != nil {
				log.Fatal(err)
			}
			took[i] = time.Since(due)
		})
	}
	wg.Wait()
	slices.Sort(took)
	fmt.Println(took[len(took)/2].Microseconds(), took[len(took)*99/100].Microseconds())
}

func ask(ctx context.Context, client *http.Client, url, token string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
