import os

import pulumi
from nothing import Nothing

stack = pulumi.ComponentResource("nova:index:Empty", "empty")
providers = [
    pulumi.ProviderResource("pulumi-python", f"provider-{number}", {}, pulumi.ResourceOptions(parent=stack))
    for number in range(int(os.environ["BENCH_PROVIDERS"]))
]
for number in range(int(os.environ["BENCH_RESOURCES"])):
    Nothing(f"nothing-{number}", pulumi.ResourceOptions(parent=stack, provider=providers[number % len(providers)]))
