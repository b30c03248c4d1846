"""An independent MCP client: lists and calls what a project serves, and prints it as JSON.

usage: client.py MXCP DIRECTORY | client.py URL
"""

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client


def over_stdio(binary: str, directory: str):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MXCP_")}
    environment["HOME"] = directory
    server = StdioServerParameters(
        command=binary, args=["serve", "--transport", "stdio"], cwd=directory, env=environment
    )
    return stdio_client(server)


async def main() -> None:
    arguments = sys.argv[1:]
    connection = over_stdio(*arguments) if len(arguments) == 2 else streamablehttp_client(arguments[0])
    async with connection as (read, write, *_):
        async with ClientSession(read, write) as session:
            started = await session.initialize()
            tools = (await session.list_tools()).tools
            resources = (await session.list_resources()).resources
            templates = (await session.list_resource_templates()).resourceTemplates
            prompts = (await session.list_prompts()).prompts
            metrics = await session.call_tool("get_customer_metrics", {"customer_id": "cust_123"})
            denied = await session.call_tool("get_customer", {"customer_id": "cust_123"})
            wrong = await session.call_tool("get_customer_metrics", {})
            churn = await session.call_tool("predict_churn", {"customer_id": "cust_123"})
            mixed = [("get_customer_metrics", "predict_churn")[n % 2] for n in range(100)]
            many = await asyncio.gather(*(session.call_tool(name, {"customer_id": "cust_123"}) for name in mixed))
            read_result = await session.read_resource(resources[0].uri)
            arguments = {a.name: "cust_123" for a in prompts[0].arguments or [] if a.required}
            prompt = await session.get_prompt(prompts[0].name, arguments)
    print(
        json.dumps(
            {
                "protocol": started.protocolVersion,
                "server": started.serverInfo.model_dump(mode="json", exclude_none=True),
                "tools": sorted(t.name for t in tools),
                "schemas": {t.name: t.inputSchema for t in tools},
                "resources": len(resources),
                "templates": len(templates),
                "prompts": len(prompts),
                "metrics": metrics.model_dump(mode="json", exclude_none=True),
                "denied": denied.model_dump(mode="json", exclude_none=True),
                "wrong": wrong.model_dump(mode="json", exclude_none=True),
                "churn": churn.model_dump(mode="json", exclude_none=True),
                "many": [result.isError for result in many],
                "read": read_result.model_dump(mode="json", exclude_none=True),
                "prompt": prompt.model_dump(mode="json", exclude_none=True),
            }
        )
    )


asyncio.run(main())
