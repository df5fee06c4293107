"""HTTP as the application speaks it, whatever the resource: errors, conditional requests, pages, proxies."""
